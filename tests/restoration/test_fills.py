"""Fills of a missing part against brute force, symmetry, and scikit-image itself."""

import numpy as np
import pytest

from vaejax.errors import UserError
from vaejax.restoration import fills

RNG = np.random.default_rng(0)
X = RNG.random((6, 5, 8, 2)).astype(np.float32)
HALF = np.ones((6, 5, 8, 1), np.float32)
HALF[:, :, 4:] = 0


def test_the_nearest_rows_by_the_seen_part():
  """Of rows in parts; each picture has a mask of its own."""
  seen = (RNG.random((6, 5, 8, 1)) < 0.5).astype(np.float32)
  rows = RNG.random((50, 5, 8, 2)).astype(np.float32)
  found, mean = fills.nearest(X, seen, [rows[:7], rows[7:40], rows[40:]], 3)
  errors = (np.square(X[:, None] - rows[None]) * seen[:, None]).sum((2, 3, 4))
  expected = rows[np.argsort(errors, axis=1)[:, :3]]
  np.testing.assert_array_equal(found, fills.paste(X[:, None], seen[:, None], expected))
  np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-5)


def test_what_is_missing_does_not_matter():
  rows = [RNG.random((20, 5, 8, 2)).astype(np.float32)]
  other = np.where(HALF > 0, X, 0.1)
  for function in (
    lambda x: fills.nearest(x, HALF, rows, 1)[0][:, 0],
    lambda x: fills.mirror(x, HALF),
  ):
    np.testing.assert_array_equal(function(other), function(X))
    np.testing.assert_array_equal(function(X)[:, :, :4], X[:, :, :4])


def test_the_mirror_of_a_symmetric_picture_is_the_picture():
  symmetric = np.concatenate([X[:, :, :4], X[:, :, 3::-1]], axis=2)
  np.testing.assert_array_equal(fills.mirror(symmetric, HALF), symmetric)
  centre = np.ones_like(HALF)
  centre[:, 1:4, 2:6] = 0
  assert fills.mirror(X, centre) is None


def test_biharmonic_is_scikit_image_s_of_each_picture():
  inpaint = pytest.importorskip('skimage.restoration').inpaint_biharmonic
  seen = HALF.copy()
  seen[3:, :, 4:] = 1
  seen[3:, 1:4, 2:5] = 0
  found = fills.biharmonic(X, seen)
  for x, mask, y in zip(X, seen, found, strict=True):
    expected = inpaint(x * mask, mask[..., 0] == 0, channel_axis=-1)
    np.testing.assert_allclose(y, expected.clip(0, 1), atol=1e-5)


def test_without_the_extra(monkeypatch):
  monkeypatch.setattr(fills, 'has_skimage', lambda: False)
  with pytest.raises(UserError, match=r"pip install -e '.\[restore\]'"):
    fills.biharmonic(X, HALF)
