"""The Fréchet distance against SciPy's matrix root and against cases worked out by hand."""

import numpy as np
import pytest
from scipy import linalg

from vaejax.metrics.frechet import Moments, distance, moments

RANDOM = np.random.default_rng(0)


def gaussian(features=12, rank=None, scale=1.0):
  factor = scale * RANDOM.normal(size=(features, rank or 2 * features))
  return Moments(RANDOM.normal(size=features), factor @ factor.T)


@pytest.mark.parametrize('scale', [1e-3, 1.0, 1e3])
def test_it_is_scipys(scale):
  a, b = gaussian(scale=scale), gaussian(scale=scale)
  root = linalg.sqrtm(a.covariance @ b.covariance)
  assert np.abs(np.imag(root)).max() < 1e-6 * np.abs(root).max()
  want = np.sum((a.mean - b.mean) ** 2) + np.trace(a.covariance + b.covariance - 2 * root.real)
  assert distance(a, b) == pytest.approx(want, rel=1e-8)
  assert distance(b, a) == pytest.approx(want, rel=1e-8)


def test_of_covariances_that_commute_it_is_known():
  """|m|² + sum (s_i - t_i)², in whatever axes."""
  s, t, shift = RANDOM.uniform(0, 3, 9), RANDOM.uniform(0, 3, 9), RANDOM.normal(size=9)
  s[0] = t[1] = 0.0
  axes = np.linalg.qr(RANDOM.normal(size=(9, 9)))[0]
  a, b = (Moments(m, axes @ np.diag(d**2) @ axes.T) for m, d in ((0 * shift, s), (shift, t)))
  assert distance(a, b) == pytest.approx(np.sum(shift**2) + np.sum((s - t) ** 2), rel=1e-7)


def test_features_that_never_vary_do_no_harm():
  """Of a rank far below the number of features, where the root of a product fails."""
  a, b = gaussian(40, rank=3), gaussian(40, rank=3)
  found = distance(a, b)
  assert np.isfinite(found) and found == pytest.approx(distance(b, a), rel=1e-6)
  # The nuclear norm of the product of the factors is the trace of the root.
  values, vectors = np.linalg.eigh(a.covariance)
  root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
  values, vectors = np.linalg.eigh(b.covariance)
  other = (vectors * np.sqrt(values.clip(0))) @ vectors.T
  trace = np.linalg.svd(root @ other, compute_uv=False).sum()
  spread = np.trace(a.covariance + b.covariance) - 2 * trace
  assert found == pytest.approx(np.sum((a.mean - b.mean) ** 2) + spread, rel=1e-6)


def test_from_itself_it_is_nothing():
  for rank in (None, 2):
    a = gaussian(rank=rank)
    assert 0 <= distance(a, a) < 1e-6 * np.trace(a.covariance)


def test_moments_are_numpys_whatever_the_centre():
  x = RANDOM.normal(100, 0.1, size=(500, 6)) @ RANDOM.normal(size=(6, 6))
  near = x.mean(0) + 0.05
  exact, shifted = np.float64(x), np.float32(x - near)
  for found, tolerance in (
    (moments(500, exact.sum(0), exact.T @ exact), 1e-6),
    (moments(500, shifted.sum(0), shifted.T @ shifted, near), 1e-5),
  ):
    assert np.allclose(found.mean, x.mean(0), rtol=1e-6)
    assert np.allclose(found.covariance, np.cov(x.T), rtol=tolerance, atol=tolerance)
