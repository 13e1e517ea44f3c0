"""Real numbers: their units outside a method, and densities per unit."""

import jax
import numpy as np
import pytest

import vaejax
from vaejax import units
from vaejax.data import fingerprint, positive
from vaejax.data.table import of_arrays
from vaejax.distributions import Gaussian, InUnits, Laplace
from vaejax.errors import UserError

RANDOM = np.random.default_rng(0)
SKEWED = np.exp(RANDOM.normal(3, 1.5, (40, 5, 6, 2))).astype(np.float32)


@pytest.mark.parametrize('transform', units.TRANSFORMS)
def test_inside_a_method_channels_are_standard_and_come_back(transform):
  fitted = units.fit(SKEWED, transform)
  y = np.asarray(fitted.forward(SKEWED))
  np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-4)
  np.testing.assert_allclose(y.std((0, 1, 2)), 1, atol=1e-4)
  np.testing.assert_allclose(fitted.inverse(y), SKEWED, rtol=1e-4)


@pytest.mark.parametrize('transform', units.TRANSFORMS)
def test_log_det_is_the_derivative(transform):
  fitted = units.fit(SKEWED, transform)
  x = SKEWED[0].astype(np.float32)
  slope = jax.vmap(jax.grad(lambda x, c: fitted.forward(x[None].repeat(2))[c]), (0, None))
  for c in range(2):
    want = np.log(np.abs(slope(x[..., c].ravel(), c)))
    got = fitted.log_det(fitted.forward(x))[..., c].ravel()
    np.testing.assert_allclose(got, want, atol=1e-4)


@pytest.mark.parametrize('transform', units.TRANSFORMS)
@pytest.mark.parametrize('kind', [Gaussian, Laplace])
def test_a_density_in_units_integrates_to_one_over_them(kind, transform):
  fitted = units.fit(SKEWED[..., :1], transform)
  p = InUnits(kind(np.float32(0.3), np.float32(-0.5)), fitted)
  # Equal steps inside, whose images are the steps of x.
  y = np.linspace(-12, 12, 200_001)[:, None].astype(np.float32)
  x = np.asarray(fitted.inverse(y), np.float64)[:, 0]
  density = np.exp(np.asarray(p.log_prob(y), np.float64))[:, 0]
  assert np.trapezoid(density, x) == pytest.approx(1, abs=2e-3)


def test_whole_numbers_share_one_scale_and_levels_lie_on_a_grid():
  x = RANDOM.integers(0, 4096, (20, 4, 4, 3)).astype(np.uint16)
  fitted = units.fit(x)
  assert len(fitted.scale) == len(fitted.shift) == 1
  steps = np.diff(np.asarray(fitted.forward(np.arange(5)[:, None])), axis=0)
  np.testing.assert_allclose(steps, 1 / fitted.scale[0], rtol=1e-3)
  assert set(fitted.low) == {float(x.min())} and set(fitted.high) == {float(x.max())}


def test_pictures_show_the_range():
  fitted = units.fit(SKEWED, low=10.0, high=30.0)
  x = np.float32([[0, 10], [20, 30], [31, 25]])
  want = [[0, 0], [0.5, 1], [1, 0.75]]
  np.testing.assert_allclose(fitted.picture(fitted.forward(x)), want, atol=1e-5)


def test_a_constant_image_and_a_logarithm_of_zero():
  flat = units.fit(np.full((3, 2, 2, 1), 7.0))
  np.testing.assert_allclose(flat.forward(np.full((1, 1), 7.0)), 0)
  with pytest.raises(ValueError, match='smallest value is -1'):
    units.fit(SKEWED - SKEWED.min() - 1, 'log')


CONFIG = 'configs/vae.py:digits,smoke,model.likelihood=gaussian_scalar'


def test_another_unit_is_the_same_run_with_another_density(tmp_path):
  """Grams or kilograms: the same steps, and an ELBO that differs by a constant."""
  x, factor = np.abs(RANDOM.normal(5, 2, (64, 6, 6, 1))), 1024.0
  values, samples = [], []
  for name, scale in (('a', 1.0), ('b', factor)):
    data = {'train': x * scale, 'test': x[:32] * scale}
    values.append(vaejax.train(CONFIG, tmp_path / name, data=data))
    samples.append(vaejax.load(tmp_path / name).sample(4))
  np.testing.assert_allclose(samples[1], samples[0] * factor, rtol=1e-3)
  assert values[0]['elbo'] - values[1]['elbo'] == pytest.approx(36 * np.log(factor), rel=1e-4)
  assert values[0]['kl'] == pytest.approx(values[1]['kl'], rel=1e-2)


def test_a_transform_of_data_that_does_not_fit_is_one_line(tmp_path):
  x = RANDOM.normal(0, 1, (40, 6, 6, 1))
  with pytest.raises(UserError, match=r'transform=log needs positive numbers, but the smallest'):
    vaejax.train(f'{CONFIG},transform=log', tmp_path / 'a', data={'train': x, 'test': x})
  with pytest.raises(UserError, match=r'transform=asinh needs 16-bit images or floats'):
    vaejax.train(f'{CONFIG},transform=asinh', tmp_path / 'b')


@pytest.mark.parametrize('words', ['', ',model.likelihood=laplace', ',data.transform=asinh'])
def test_sixteen_bits_stay_sixteen_bits(tmp_path, words):
  x = RANDOM.integers(0, 3000, (40, 6, 6, 1)).astype(np.uint16)
  values = vaejax.train(CONFIG + words, tmp_path, data={'train': x, 'test': x[:24]})
  run = vaejax.load(tmp_path)
  assert run.example.units.transform == ('asinh' if 'asinh' in words else 'none')
  assert run.reconstruct(x).mean() == pytest.approx(x.mean(), rel=0.5)
  assert run.log_prob(x[:24], samples=1).mean() == pytest.approx(values['elbo'], rel=0.02)
  assert 'bits_per_dim' not in values


def test_sixteen_bits_have_65536_levels_under_a_discrete_likelihood(tmp_path):
  x = RANDOM.integers(0, 3000, (40, 6, 6, 1)).astype(np.uint16)
  words = CONFIG.replace('gaussian_scalar', 'logistic')
  values = vaejax.train(words, tmp_path, data={'train': x, 'test': x[:24]})
  nats = -values['elbo'] / 36
  assert values['bits_per_dim'] == pytest.approx(nats / np.log(2), rel=1e-4)
  # Noise has no more structure than its range.
  assert np.log2(3000) < values['bits_per_dim'] < 24


@pytest.mark.parametrize('channels, kind', [(2, 'uint8'), (5, 'uint8'), (10, 'float32')])
@pytest.mark.parametrize('family', ['vae', 'gan', 'vaegan'])
def test_any_number_of_channels_trains_and_is_drawn(tmp_path, channels, kind, family):
  from PIL import Image

  x = RANDOM.integers(0, 256, (40, 8, 8, channels)).astype(kind)
  likelihood = ',model.likelihood=gaussian' * (kind == 'float32' and family != 'gan')
  spec = f'configs/{family}.py:digits,smoke{likelihood}'
  vaejax.train(spec, tmp_path, data={'train': x, 'test': x[:24]})
  assert vaejax.load(tmp_path).sample(3).shape == (3, 8, 8, channels)
  picture = Image.open(sorted((tmp_path / 'images').glob('samples*'))[-1])
  assert picture.mode == 'L'
  vaejax.train(f'{spec},data.shown=1,0,1', tmp_path / 'shown', data={'train': x, 'test': x[:24]})
  picture = Image.open(sorted((tmp_path / 'shown' / 'images').glob('samples*'))[-1])
  assert picture.mode == 'RGB'


def test_a_logarithm_of_zero_is_one_line_wherever_it_is(tmp_path):
  x = np.exp(RANDOM.normal(0, 1, (40, 6, 6, 1))).astype(np.float32)
  test = x[:8].copy()
  test[3, 2, 2] = 0
  config = f'{CONFIG},transform=log'
  with pytest.raises(UserError, match=r'positive numbers, but arrays test has 0\. Use'):
    vaejax.train(config, tmp_path / 'a', data={'train': x, 'test': test})
  vaejax.train(config, tmp_path / 'b', data={'train': x, 'test': x[:8]})
  with pytest.raises(UserError, match='has 0, but this run needs positive numbers'):
    vaejax.load(tmp_path / 'b').log_prob(test)


def test_large_rows_are_checked_as_they_are_read(monkeypatch):
  monkeypatch.setattr(fingerprint, 'EXACT_BYTES', 10)
  rows = of_arrays({'image': np.float32([1, 2, 0, 3]).reshape(4, 1, 1, 1)}, None, 'toy')
  rows = positive.checked(rows)
  assert rows.fetch(np.array([0, 1, 3]))['image'].sum() == 6
  for read in (rows.load, lambda: rows.fetch(np.array([1, 2]))):
    with pytest.raises(UserError, match='positive numbers, but toy has 0'):
      read()


def test_all_columns_of_a_large_array_count(monkeypatch):
  x = RANDOM.normal(5, 2, (4096, 8, 16, 1))
  x[:, :, 0] = 0
  monkeypatch.setattr(units, 'MAX_ELEMENTS', x.size // 16)
  fitted = units.fit(x)
  assert fitted.shift[0] == pytest.approx(x.mean(), abs=0.05)
  assert fitted.scale[0] == pytest.approx(x.std(), abs=0.05)
