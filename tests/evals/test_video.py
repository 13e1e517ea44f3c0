"""PSNR and SSIM against numbers and loops by hand; the pass over continuations."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from run_eval import example_of
from run_eval import values as run_eval

from vaejax.errors import UserError
from vaejax.evals import video
from vaejax.metrics.similarity import psnr, ssim


def noise(*shape, seed=0):
  return np.random.default_rng(seed).uniform(size=shape).astype(np.float32)


def test_psnr_by_hand():
  x = jnp.zeros((2, 3, 3, 1))
  # An error of one tenth everywhere is 20 dB; one pixel of nine wrong by 1 is 10 log10(9).
  y = jnp.stack([jnp.full((3, 3, 1), 0.1), x[0].at[1, 2, 0].set(1.0)])
  np.testing.assert_allclose(psnr(x, y), [20, 9.5424], atol=1e-4)
  np.testing.assert_allclose(psnr(x, x), 100, rtol=1e-6)


def reference(x, y):
  """skimage.metrics.structural_similarity(x, y, data_range=1, channel_axis=-1), window for window:
  win_size 7, uniform, use_sample_covariance."""
  h, w, channels = x.shape
  found = []
  for c in range(channels):
    for i in range(h - 6):
      for j in range(w - 6):
        a, b = (z[i : i + 7, j : j + 7, c].astype(np.float64).ravel() for z in (x, y))
        (va, cov), (_, vb) = np.cov(a, b)
        ma, mb = a.mean(), b.mean()
        top = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4)
        found.append(top / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))
  return np.mean(found)


def test_ssim_is_the_formula_of_scikit_image():
  x, y = noise(3, 9, 11, 2), noise(3, 9, 11, 2, seed=1)
  y[1] = 0.7 * x[1] + 0.3 * y[1]
  y[2] = 1 - x[2]
  want = [reference(a, b) for a, b in zip(x, y, strict=True)]
  np.testing.assert_allclose(ssim(x, y), want, atol=1e-5)
  assert want[1] > 0.5 > -0.5 > want[2]


def test_ssim_by_hand():
  # Two flat images: only their means count. 2ab + C1 over a² + b² + C1, for 0.5 and 0.25.
  flat = lambda value: jnp.full((8, 8, 1), value)
  want = (0.25 + 1e-4) / (0.3125 + 1e-4)
  np.testing.assert_allclose(ssim(flat(0.5), flat(0.25)), want, rtol=1e-4)
  # A window of one pixel of 1 in 49 against black: mean 1/49, sample variance 1/49.
  dot = jnp.zeros((7, 7, 1)).at[3, 3, 0].set(1.0)
  want = 1e-4 / (49**-2 + 1e-4) * 9e-4 / (1 / 49 + 9e-4)
  np.testing.assert_allclose(ssim(dot, jnp.zeros((7, 7, 1))), want, rtol=1e-4)
  np.testing.assert_allclose(ssim(dot, dot), 1, rtol=1e-6)


def config(given=2, futures=3):
  settings = SimpleNamespace(video=SimpleNamespace(given=given, futures=futures, draw=False))
  return SimpleNamespace(eval=settings, method='oracle')


def oracle(error, low=0.0):
  """A method that continues videos of black by the grey of error(key, temperature)."""

  def sample(v, key, n, given, temperature=1.0, draw=False):
    first = given['video']
    grey = low + (1 - low) * error(key, temperature) * jnp.ones((n, 3, *first.shape[2:]))
    return {'video': jnp.concatenate([first, grey], axis=1)}

  return SimpleNamespace(sample=sample, given=('video',))


def values(method, batch, config, low=0.0):
  example = example_of(batch['video'].shape[1:], low, data='video')
  return run_eval(video.make(method, config, example), test=batch)


def test_rollout_best_and_copy_at_every_horizon():
  error = lambda key, t: jnp.where(t == 0, 0.1, jax.random.uniform(key, minval=0.2))
  clips = np.zeros((3, 5, 8, 8, 1), np.float32)
  clips[:, 1] = 0.01  # the last given frame: 40 dB from the black that follows
  clips[2] = 1.0  # padding
  batch = {'video': jnp.asarray(clips), 'mask': jnp.asarray([1.0, 1.0, 0.0])}
  found = values(oracle(error), batch, config())
  assert {name[-2:] for name in found if name[-1].isdigit()} == {'01', '02', '03'}
  drawn = [float(error(jax.random.fold_in(jax.random.key(0), i), 1.0)) for i in range(3)]
  for h in ('', '_01', '_02', '_03'):
    assert found['psnr_rollout' + h] == pytest.approx(20, abs=1e-3)
    assert found['psnr_copy' + h] == pytest.approx(40, abs=1e-3)
    assert found['psnr_best' + h] == pytest.approx(-20 * np.log10(min(drawn)), abs=1e-3)
    assert found['ssim_rollout' + h] < found['ssim_copy' + h] < 1
  more = values(oracle(error), batch, config(futures=9))
  assert more['psnr_best'] >= found['psnr_best'] and more['psnr_rollout'] == found['psnr_rollout']


def test_the_range_of_the_data_does_not_matter():
  error = lambda key, t: 0.1
  clips = jnp.zeros((2, 5, 8, 8, 1)).at[:, 1].set(0.01)
  plain = values(oracle(error), {'video': clips, 'mask': jnp.ones(2)}, config())
  shifted = values(
    oracle(error, -1.0), {'video': 2 * clips - 1, 'mask': jnp.ones(2)}, config(), low=-1.0
  )
  assert plain == pytest.approx(shifted, abs=1e-3)


def test_mistakes():
  with pytest.raises(UserError, match='does not continue videos'):
    video.make(SimpleNamespace(given=('label',)), config(), example_of((4, 4, 1)))
  batch = {'video': jnp.zeros((1, 5, 8, 8, 1)), 'mask': jnp.ones(1)}
  for given in (0, 5, 9):
    with pytest.raises(
      UserError, match=rf'eval.video.given={given} does not fit videos of 5 frames. Choose 1 to 4'
    ):
      values(oracle(lambda key, t: 0.1), batch, config(given=given))
  small = batch | {'video': jnp.zeros((1, 5, 6, 9, 1))}
  with pytest.raises(UserError, match='SSIM, which needs frames of at least 7x7'):
    values(oracle(lambda key, t: 0.1), small, config())
