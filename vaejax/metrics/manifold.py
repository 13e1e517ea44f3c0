"""Improved precision and recall (Kynkäänniemi et al. 2019, arXiv:1904.06991), density and coverage
(Naeem et al. 2020, arXiv:2002.09797): how far balls around rows cover the rows of another set."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

BLOCK = 2**24  # distances that are in memory at once, 128 MiB


class Manifold(NamedTuple):
  """The terms whose means are the four values.

  Attributes:
    precision: whether a sample lies in the ball of any reference row, [samples].
    density: the number of such balls divided by k, [samples].
    recall: whether a reference row lies in the ball of any sample, [reference].
    coverage: whether a reference row's ball has any sample in it, [reference].
  """

  precision: np.ndarray
  density: np.ndarray
  recall: np.ndarray
  coverage: np.ndarray


def manifold(reference: np.ndarray, samples: np.ndarray, k: int = 5) -> Manifold:
  """The terms for rows reference [N, F] and samples [M, F]. A row's ball reaches to its k-th
  nearest neighbour in its own set, and excludes its border. N and M must be larger than k.

  In float64, with blocks of rows, so that memory grows with N + M and not with N * M.
  """
  reference, samples = np.asarray(reference, np.float64), np.asarray(samples, np.float64)
  radii, sample_radii = radii_of(reference, k), radii_of(samples, k)
  count, inside = np.zeros(len(samples)), np.zeros(len(samples), bool)
  recall, coverage = [], []
  for rows, squared in blocks(reference, samples):
    covered = squared < radii[rows, None]
    count += covered.sum(axis=0)
    inside |= covered.any(axis=0)
    recall.append((squared < sample_radii).any(axis=1))
    coverage.append(squared.min(axis=1) < radii[rows])
  return Manifold(inside, count / k, np.concatenate(recall), np.concatenate(coverage))


def radii_of(x: np.ndarray, k: int) -> np.ndarray:
  """The squared distance of each row [N, F] to its k-th nearest neighbour, [N]."""
  # The nearest row is the row itself.
  return np.concatenate([np.partition(d, k, axis=1)[:, k] for _, d in blocks(x, x)])


def blocks(a: np.ndarray, b: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
  """(rows of a, their squared distances to all rows of b) in blocks."""
  squares_a, squares_b = ((x * x).sum(axis=1) for x in (a, b))
  step = max(1, BLOCK // len(b))
  for first in range(0, len(a), step):
    rows = slice(first, first + step)
    squared = squares_a[rows, None] + squares_b - 2 * a[rows] @ b.T
    squared = np.maximum(squared, 0)
    if a is b:
      squared[np.arange(len(squared)), np.arange(first, first + len(squared))] = 0
    yield rows, squared
