"""The Fréchet distance against SciPy's matrix root and against cases worked out by hand."""

import numpy as np
import pytest
from scipy import linalg

from vaejax.metrics.frechet import (
  Moments,
  _distance_of_draws,
  _distance_of_few,
  _fast_distance,
  between,
  distance,
  moments,
  moments_of,
)

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


def test_moments_are_numpys():
  x = RANDOM.normal(100, 0.1, size=(500, 6)) @ RANDOM.normal(size=(6, 6))
  mean, covariance = moments(500, x.sum(0), x.T @ x)
  np.testing.assert_allclose(mean, x.mean(0), rtol=1e-6)
  np.testing.assert_allclose(covariance, np.cov(x.T), rtol=1e-6, atol=1e-6)


def test_it_equals_torch_fidelitys():
  """2.2277655999 is fid_statistics_to_metric of torch-fidelity 0.4.0 on these rows."""
  random = np.random.RandomState(0)
  a = random.standard_normal((1500, 16)).astype(np.float32)
  b = (random.standard_normal((1200, 16)) * 1.2 + 0.3).astype(np.float32)
  got = between(a, b, resamples=50)
  assert got.value == pytest.approx(2.2277655999, rel=1e-6) and got.note == ''
  low, high = got.interval
  assert low < got.value < high and 0.02 < got.error < 0.2


@pytest.mark.parametrize('features', [8, 60])
def test_identical_rows_have_no_distance(features):
  x = 10 * RANDOM.normal(size=(50, features)).astype(np.float32)
  got = between(x, x.copy())
  assert 0 <= got.value < 1e-6 and got.error is None
  assert got.note == ('50 rows for 60 features: the covariance is singular' * (features == 60))


def test_the_bootstrap_has_the_error_of_repeated_draws():
  draw = lambda: (RANDOM.normal(size=(400, 3)), 0.5 + RANDOM.normal(size=(400, 3)))
  spread = np.std([between(*draw()).value for _ in range(200)])
  errors = [between(*draw(), resamples=60).error for _ in range(5)]
  assert np.mean(errors) == pytest.approx(spread, rel=0.25)


def test_the_interval_does_not_depend_on_the_number_of_cores(monkeypatch):
  a, b = RANDOM.normal(size=(2, 60, 5))
  want = between(a, b, resamples=12)
  for cores in (1, 3, None):
    monkeypatch.setattr('os.cpu_count', lambda cores=cores: cores)
    assert between(a, b, resamples=12) == want


@pytest.mark.parametrize('of_draws', [_distance_of_draws, _distance_of_few])
def test_resampled_rows_have_the_distance_of_repeated_ones(of_draws):
  """In both forms, with more rows than features and with fewer."""
  for n, m, features in ((30, 25, 4), (30, 25, 40)):
    a, b = RANDOM.normal(size=(n, features)), 1 + RANDOM.normal(size=(m, features))
    times = [RANDOM.integers(0, 4, size=k) for k in (n, m)]
    repeated = [np.repeat(x, t, axis=0) for x, t in zip((a, b), times, strict=True)]
    want = distance(*map(moments_of, repeated))
    assert of_draws(np.float32(a), np.float32(b), *times) == pytest.approx(want, rel=1e-4)
  np.testing.assert_allclose(moments_of(a).covariance, np.cov(a.T))


def test_the_fast_root_gives_the_same_distance():
  a, b, singular = gaussian(), gaussian(), gaussian(rank=3)
  assert _fast_distance(a, b) == pytest.approx(distance(a, b), rel=1e-9)
  assert _fast_distance(singular, b) == pytest.approx(distance(singular, b), rel=1e-6)
