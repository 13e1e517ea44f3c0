"""The Fréchet distance between Gaussians that are fitted to features (Heusel et al. 2017,
arXiv:1706.08500, equation 6), in float64 on the host. Of Inception's features it is called FID; of
any others it is not."""

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
  """Of features [N, F]: mean [F] and covariance [F, F] (divided by N - 1)."""

  mean: np.ndarray
  covariance: np.ndarray


def moments(count, total, products, centre=0.0) -> Moments:
  """The moments of `count` rows x, from the sums of x - centre [F] and of its outer products.

  A centre near the mean keeps sums in float32 as good as they are: else the covariance is a small
  difference of large numbers.
  """
  total, products = (np.asarray(sums, np.float64) for sums in (total, products))
  mean = total / count
  covariance = (products - count * np.outer(mean, mean)) / max(count - 1, 1)
  return Moments(mean + centre, covariance)


def distance(a: Moments, b: Moments) -> float:
  """|a.mean - b.mean|² + tr(A + B - 2 (A B)^½), in squared units of the features.

  (A B)^½ has the trace of (A^½ B A^½)^½, which is symmetric: its eigenvalues are real, and those
  that rounding makes negative are zero. A root of A B itself (scipy.linalg.sqrtm) is complex or
  fails where features are constant or rows are few.
  """
  values, vectors = np.linalg.eigh(a.covariance)
  root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
  inner = root @ b.covariance @ root
  cross = np.sqrt(np.linalg.eigvalsh((inner + inner.T) / 2).clip(0)).sum()
  spread = np.trace(a.covariance) + np.trace(b.covariance) - 2 * cross
  return float(max(np.square(a.mean - b.mean).sum() + spread, 0.0))
