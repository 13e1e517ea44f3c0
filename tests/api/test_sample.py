"""Samples of a finished run: shapes, range, settings, and that no data is read."""

import io

import jax
import numpy as np
import pytest
from PIL import Image

import vaejax
from vaejax.api import programs
from vaejax.api.sample import write_samples
from vaejax.data import splits
from vaejax.errors import UserError
from vaejax.runs.trained import open_run


@pytest.fixture(autouse=True)
def no_data(monkeypatch):
  """Reading data is an error."""

  def refuse(*_):
    raise AssertionError('data was read')

  monkeypatch.setattr(splits, 'table', refuse)


@pytest.fixture
def draw(trained, tmp_path):
  """draw(n, **settings) -> the array that was written."""

  def draw(n, weights='ema', **settings):
    run = vaejax.load(trained, weights=weights)
    return np.load(write_samples(run, n, tmp_path / 'x.npy', **settings), allow_pickle=False)

  return draw


@pytest.mark.parametrize('n', [1, 64, programs.AT_ONCE, 300])
def test_an_array_of_n_images(draw, n):
  found = draw(n)
  assert found.shape == (n, 8, 8, 1) and found.dtype == np.float32
  assert 0 <= found.min() < found.max() <= 1
  assert len(np.unique(found, axis=0)) == n  # also those past the first AT_ONCE are new


def test_a_seed_is_its_images(draw):
  one, same, other = draw(5, seed=1), draw(5, seed=1), draw(5, seed=2)
  np.testing.assert_array_equal(one, same)
  assert np.abs(one - other).max() > 1e-3


def test_a_draw_is_of_grey_levels_and_not_the_mean(draw):
  mean, drawn = draw(4), draw(4, draw=True)
  levels = drawn * 16  # of the 17 that digits have
  np.testing.assert_allclose(levels, np.round(levels), atol=1e-4)
  assert np.abs(mean * 16 - np.round(mean * 16)).max() > 0.1
  assert np.abs(drawn - mean).max() > 0.01


def test_temperature_scales_the_prior(draw):
  cold, cool, warm = (draw(32, temperature=t) for t in (0.0, 0.5, 1.0))
  np.testing.assert_allclose(cold, np.broadcast_to(cold[:1], cold.shape), atol=1e-6)
  assert 0 < cool.std(0).mean() < warm.std(0).mean()


def test_weights_are_the_average_or_raw(draw, trained):
  run = open_run(trained, print)
  key = jax.random.fold_in(jax.random.key(0), 0)
  for weights, variables in (('ema', run.state.ema), ('raw', run.state.variables)):
    expected = run.method.sample(variables, key, 3, {})['image']
    np.testing.assert_allclose(draw(3, weights=weights), expected, atol=1e-5)
  assert np.abs(draw(3, weights='ema') - draw(3, weights='raw')).max() > 1e-3


def test_a_grid_in_the_workdir(copied):
  out = write_samples(vaejax.load(copied), 9)
  assert out == copied / 'samples.png'
  with Image.open(io.BytesIO(out.read_bytes())) as picture:
    assert min(picture.size) >= 3 * 8


def test_where_it_cannot_write(trained, tmp_path):
  (tmp_path / 'folder.png').mkdir()
  run = vaejax.load(trained)
  for name, message in (
    ('x.jpg', 'ends in .png or .npy'),
    ('x', 'ends in .png or .npy'),
    ('none/x.png', 'there is no folder'),
    ('folder.png', 'is a folder'),
  ):
    with pytest.raises(UserError, match=message):
      write_samples(run, 1, tmp_path / name)
  assert [path.name for path in tmp_path.iterdir()] == ['folder.png']
