"""Accuracy of reconstructions against scikit-image, and the values of a pass."""

import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from run_eval import example_of, with_errors

from vaejax.errors import UserError
from vaejax.evals import fidelity
from vaejax.perceptual import lpips, weights
from vaejax.types import Method

CONFIG = ConfigDict({'method': 'none'})

# structural_similarity, peak_signal_noise_ratio and mean_squared_error of scikit-image 0.26 on
# `images`, with data_range=1 and channel_axis=-1.
SSIM = [0.67656565, 0.77305919, 0.74665082]
PSNR = [12.378899, 12.292277, 12.268696]
MSE = [0.05782426, 0.05898918, 0.05931034]


def images(n, side, channels):
  """Waves, and the same with noise, in [0, 1]."""
  i, random = np.arange(side) / side, np.random.RandomState(side + channels)
  waves = np.add.outer(i, 2 * i)[None, :, :, None] * np.arange(1, n + 1)[:, None, None, None] / n
  x = 0.5 + 0.5 * np.sin(6 * np.pi * waves + np.arange(channels))
  y = np.clip(x + 0.3 * random.standard_normal((n, side, side, channels)), 0, 1)
  return x.astype(np.float32), y.astype(np.float32)


def method(reconstruction=None):
  predict = {'reconstruct': lambda v, batch, key: {'image': reconstruction}}
  return Method(None, (), None, None, predict if reconstruction is not None else {})


@pytest.mark.parametrize('extra', [False, True])
def test_values_and_errors_of_a_pass(extra, monkeypatch):
  """In [0, 1] whatever the scale of the data, without padding, and outside of it clipped."""
  if extra and not weights.is_installed():
    pytest.skip('needs the extra perceptual')
  monkeypatch.setattr(weights, 'is_installed', lambda: extra)
  x, y = (np.concatenate([a, a[:1]]) for a in images(3, 28, 1))
  e = fidelity.make(method(jnp.asarray(2 * y - 1)), CONFIG, example_of((28, 28, 1), -1.0))
  batch = {'image': jnp.asarray(2 * x - 1), 'mask': jnp.asarray([1.0, 1, 1, 0])}
  got = with_errors(e, test=batch)
  want = {'mse': MSE, 'psnr': PSNR, 'ssim': SSIM}
  if extra:
    want |= {
      name: np.asarray(lpips.distance(net)(y[:3], x[:3])) for name, net in fidelity.LPIPS.items()
    }
    assert e.protocol['lpips_alex'] == 'version 0.1, AlexNet, images enlarged to 32x32'
  assert set(got) == set(want)
  for name, values in want.items():
    assert got[name].value == pytest.approx(np.mean(values), rel=1e-4)
    assert got[name].error == pytest.approx(np.std(values, ddof=1) / np.sqrt(3), rel=1e-3)


def test_ssim_needs_a_window(monkeypatch):
  monkeypatch.setattr(weights, 'is_installed', lambda: False)
  e = fidelity.make(method(jnp.zeros(())), CONFIG, example_of((6, 9, 1)))
  assert e.names() == ['mse', 'psnr']


def test_what_it_cannot_take():
  with pytest.raises(UserError, match="needs reconstructions, but the method 'none' has none"):
    fidelity.make(method(), CONFIG, example_of((8, 8, 1)))
  with pytest.raises(UserError, match='needs images, but the data is videos'):
    fidelity.make(method(jnp.zeros(())), CONFIG, example_of((3, 8, 8, 1), data='video'))
