"""The Fréchet distance between Gaussians fitted to features (Heusel et al. 2017, arXiv:1706.08500,
equation 6), in float64 on the host. It is called FID only for features of the Inception network."""

from typing import NamedTuple

import numpy as np


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
  root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
  inner = root @ b.covariance @ root
  cross = np.sqrt(np.linalg.eigvalsh((inner + inner.T) / 2).clip(0)).sum()
  covariance_term = np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross
  return float(max(np.square(a.mean - b.mean).sum() + covariance_term, 0.0))
