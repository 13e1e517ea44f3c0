"""The Fréchet distance between Gaussians fitted to features (Heusel et al. 2017, arXiv:1706.08500,
equation 6), in float64 on the host. It is called FID only for features of the Inception network."""

from typing import NamedTuple

import numpy as np

from vaejax.estimates import Estimate, resampled


class Moments(NamedTuple):
  """Mean [F] and covariance [F, F] (divided by N - 1) of features [N, F]."""

  mean: np.ndarray
  covariance: np.ndarray


def moments(count, total, products, centre=0.0) -> Moments:
  """The moments of `count` rows x, from the sums of x - centre [F] and of its outer products [F,
  F].

  With a centre near the mean, sums in float32 are accurate enough. Otherwise the covariance is a
  small difference of large numbers.
  """
  total, products = (np.asarray(sums, np.float64) for sums in (total, products))
  mean = total / count
  covariance = (products - count * np.outer(mean, mean)) / max(count - 1, 1)
  return Moments(mean + centre, covariance)


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


def moments_of(rows, weights=None) -> Moments:
  """The moments of rows [N, F], each counted `weights` [N] times, whole numbers; None: once."""
  rows = np.asarray(rows, np.float64)
  weights = np.ones(len(rows)) if weights is None else np.asarray(weights, np.float64)
  count = weights.sum()
  mean = weights @ rows / count
  centred = rows - mean
  return Moments(mean, (centred * weights[:, None]).T @ centred / max(count - 1, 1))


def between(a, b, resamples: int = 0, seed: int = 0) -> Estimate:
  """The distance between rows a [N, F] and b [M, F], with the error and interval of the bootstrap
  over both, from `resamples` samples; 0: without them. With fewer rows than features, it has a
  note."""
  a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
  value = distance(moments_of(a), moments_of(b))
  random, values = np.random.default_rng(seed), []
  for _ in range(resamples):
    drawn = [random.multinomial(len(x), np.full(len(x), 1 / len(x))) for x in (a, b)]
    values.append(_fast_distance(*(moments_of(x, w) for x, w in zip((a, b), drawn, strict=True))))
  estimate = resampled(value, values) if resamples > 1 else Estimate(value)
  rows, features = min(len(a), len(b)), a.shape[1]
  short = f'{rows:,} rows for {features:,} features: the covariance is singular'
  return estimate._replace(note=short if rows <= features else '')
