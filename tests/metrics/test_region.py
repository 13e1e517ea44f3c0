"""PSNR and SSIM of a region against sums by hand and scikit-image's map."""

import numpy as np
import pytest

from vaejax.metrics import region, similarity

RNG = np.random.default_rng(0)
X, Y = RNG.random((2, 3, 12, 14, 2)).astype(np.float32)
MASK = np.zeros((12, 14, 1), np.float32)
MASK[2:11, 5:] = 1


def test_of_the_whole_image_they_are_those_of_the_image():
  whole = np.ones_like(MASK)
  np.testing.assert_allclose(region.psnr(X, Y, whole), similarity.psnr(X, Y), rtol=1e-5)
  np.testing.assert_allclose(region.ssim(X, Y, whole), similarity.ssim(X, Y), rtol=1e-4)


def test_psnr_counts_the_region_alone():
  errors = np.square(X - Y)[:, 2:11, 5:].mean((1, 2, 3))
  np.testing.assert_allclose(region.psnr(X, Y, MASK), -10 * np.log10(errors), rtol=1e-5)
  changed = np.where(MASK > 0, X, 7.0)
  np.testing.assert_array_equal(region.psnr(changed, Y, MASK), region.psnr(X, Y, MASK))
  np.testing.assert_allclose(region.psnr(X, X, MASK), 40, rtol=1e-5)


def test_ssim_has_the_windows_centred_in_the_region():
  metrics = pytest.importorskip('skimage.metrics')
  for x, y, value in zip(X, Y, region.ssim(X, Y, MASK), strict=True):
    _, full = metrics.structural_similarity(x, y, data_range=1.0, channel_axis=-1, full=True)
    assert float(value) == pytest.approx(full[3:-3, 3:-3][MASK[3:-3, 3:-3, 0] > 0].mean(), rel=1e-3)


def test_each_image_may_have_its_own_region():
  masks = np.stack([MASK, 1 - MASK, MASK])
  expected = [float(region.psnr(x, y, m)) for x, y, m in zip(X, Y, masks, strict=True)]
  np.testing.assert_allclose(region.psnr(X, Y, masks), expected, rtol=1e-6)


def test_an_empty_region_has_no_value():
  assert np.isnan(region.psnr(X, Y, 0 * MASK)).all() and np.isnan(region.ssim(X, Y, 0 * MASK)).all()
