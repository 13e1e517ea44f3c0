"""The Fréchet distance between Gaussians fitted to features (Heusel et al. 2017, arXiv:1706.08500,
equation 6), in float64 on the host. It is called FID only for features of the Inception network."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from vaejax.estimates import Estimate, resampled

MAX_WORKERS = 8  # bootstrap samples at once: each needs a copy of the rows


class Moments(NamedTuple):
  """Mean [F] and covariance [F, F] (divided by N - 1) of features [N, F]."""

  mean: np.ndarray
  covariance: np.ndarray


def moments(count, total, products) -> Moments:
  """The moments of `count` rows, from their sum [F] and the sum of their outer products [F, F],
  which must be in float64 unless the mean is near zero."""
  total, products = (np.asarray(sums, np.float64) for sums in (total, products))
  mean = total / count
  covariance = (products - count * np.outer(mean, mean)) / max(count - 1, 1)
  return Moments(mean, covariance)


def distance(a: Moments, b: Moments) -> float:
  """|a.mean - b.mean|² + tr(A + B - 2 (A B)^½), in squared units of the features.

  (A B)^½ has the same trace as (A^½ B A^½)^½, which is symmetric, so its eigenvalues are real;
  those that rounding makes negative are set to zero. scipy.linalg.sqrtm of A B is complex, or
  fails, if features are constant or there are few rows.
  """
  values, vectors = np.linalg.eigh(a.covariance)
  return _with_root((vectors * np.sqrt(values.clip(0))) @ vectors.T, a, b)


def _fast_distance(a: Moments, b: Moments) -> float:
  """`distance` with the Cholesky factor of A as its root, which takes a third of the time. If A is
  singular, it is `distance`."""
  try:
    return _with_root(np.linalg.cholesky(a.covariance), a, b)
  except np.linalg.LinAlgError:
    return distance(a, b)


def _with_root(root, a: Moments, b: Moments) -> float:
  """The distance, with a matrix such that root root' = A."""
  inner = root.T @ b.covariance @ root
  cross = np.sqrt(np.linalg.eigvalsh((inner + inner.T) / 2).clip(0)).sum()
  covariance_term = np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross
  return float(max(np.square(a.mean - b.mean).sum() + covariance_term, 0.0))


def moments_of(rows) -> Moments:
  """The moments of rows [N, F]."""
  rows = np.asarray(rows, np.float64)
  mean = rows.mean(axis=0)
  centred = rows - mean
  return Moments(mean, centred.T @ centred / max(len(rows) - 1, 1))


def between(a, b, resamples: int = 0) -> Estimate:
  """The distance between rows a [N, F] and b [M, F], with the error and interval of the bootstrap
  over both, from `resamples` samples; 0: without them. With fewer rows than features, it has a
  note.

  Covariances of the resampled rows are products in float32, which is accurate enough for an error.
  The samples are computed in parallel, each by one thread; see core.passes.make_pass.
  """
  value = distance(moments_of(a), moments_of(b))
  a, b = (np.asarray(x - np.mean(a, axis=0), np.float32) for x in (a, b))
  rows, features = max(len(a), len(b)), a.shape[1]
  of_draws = _distance_of_draws if rows > features else _distance_of_few

  def of_sample(number: int) -> float:
    random = np.random.default_rng(number)
    times = (np.bincount(random.integers(len(x), size=len(x)), minlength=len(x)) for x in (a, b))
    return of_draws(a, b, *times)

  workers = min(os.cpu_count() or 1, MAX_WORKERS)
  with threadpool_limits(1, 'blas'), ThreadPoolExecutor(workers) as pool:
    values = list(pool.map(of_sample, range(resamples)))
  estimate = resampled(value, values, (0, math.inf)) if resamples > 1 else Estimate(value)
  rows = min(len(a), len(b))
  short = f'{rows:,} rows for {features:,} features: the covariance is singular'
  return estimate._replace(note=short if rows <= features else '')


def _distance_of_draws(a, b, times_a, times_b) -> float:
  """The distance of rows that count `times` [N] each, whose mean is near zero."""
  weighted = lambda x, times: moments(
    times.sum(), times.astype(np.float32) @ x, (x * times[:, None].astype(np.float32)).T @ x
  )
  return _fast_distance(weighted(a, times_a), weighted(b, times_b))


def _distance_of_few(a, b, times_a, times_b) -> float:
  """The same for fewer rows than features: tr (A B)^½ is the sum of the singular values of the
  product of the rows."""
  means, factors = [], []
  for x, times in ((a, times_a), (b, times_b)):
    means.append(times @ x / times.sum())
    scale = np.sqrt(times / max(times.sum() - 1, 1))
    factors.append(((x - means[-1]) * scale[:, None])[times > 0])
  cross = np.linalg.svd(factors[0] @ factors[1].T, compute_uv=False).sum()
  traces = sum(np.square(factor).sum() for factor in factors)
  return float(max(np.square(means[0] - means[1]).sum() + traces - 2 * cross, 0.0))
