"""Directions of latent space that change one attribute: a vector, or a vector that depends on z.

Latents are [N, ...] or tuples of such arrays; of a tuple all arrays together are one vector.
"""

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np

from vaejax.inference.flat import flatten

PENALTIES = 10.0 ** np.arange(-3, 4)  # of the ridge regression, times the mean variance of z
FOLDS = 5


class Shift(NamedTuple):
  """The change of a latent z when an attribute changes: offset + (z - mean) @ weights.

  Attributes:
    offset: the mean change, [L].
    mean: of the latents without the attribute, [L].
    weights: [L, L]; None if the change does not depend on z.
    penalty: that of the regression; 0 without one.
  """

  offset: np.ndarray
  mean: np.ndarray
  weights: np.ndarray | None = None
  penalty: float = 0.0

  def __call__(self, z) -> Any:
    """The change of latents [N, ...], in their structure."""
    x, restore = flatten(z)
    change = np.broadcast_to(self.offset, x.shape)
    change = change if self.weights is None else change + (x - self.mean) @ self.weights
    return restore(change.astype(np.float32))


def of_means(before, after) -> Shift:
  """The mean of latents [M, ...] with an attribute minus that of latents [N, ...] without it
  (Larsen et al. 2016, arXiv:1512.09300, section 4.2; White 2016, arXiv:1609.04468, section 3)."""
  a, b = (flatten(z)[0].mean(axis=0) for z in (before, after))
  return Shift(b - a, a)


def of_pairs(before, after) -> Shift:
  """The mean change of P pairs that differ in the attribute alone. Unlike the difference of means,
  it does not depend on what else differs between the two sets."""
  return of_means(before, after)


def regressed(before, after, groups: np.ndarray, seed: int = 0) -> Shift:
  """The change of P pairs as a linear function of z, by ridge regression towards `of_pairs`.

  Args:
    groups: [P]; pairs of a group are alike. The penalty has the least squared error of pairs of
      groups that were held out, FOLDS parts of them at random.
  """
  a, b = (flatten(z)[0].astype(np.float64) for z in (before, after))
  change = b - a
  fold = folds(groups, seed)
  scale = a.var(axis=0).mean() * len(a)
  errors = np.zeros(len(PENALTIES))
  for part in np.unique(fold):
    rest = fold != part
    solve, offset, mean = ridge(a[rest], change[rest])
    for i, penalty in enumerate(PENALTIES):
      predicted = offset + (a[~rest] - mean) @ solve(penalty * scale)
      errors[i] += np.square(predicted - change[~rest]).sum()
  best = PENALTIES[errors.argmin()]
  solve, offset, mean = ridge(a, change)
  return Shift(offset, mean, solve(best * scale), float(best))


def ridge(x: np.ndarray, y: np.ndarray):
  """(penalty -> weights [L, K] of the ridge regression of y [N, K] on x [N, L], the mean of y, the
  mean of x). One decomposition serves all penalties."""
  mean, offset = x.mean(axis=0), y.mean(axis=0)
  u, s, v = np.linalg.svd(x - mean, full_matrices=False)
  projected = u.T @ (y - offset)
  return (lambda penalty: v.T @ ((s / (s**2 + penalty))[:, None] * projected)), offset, mean


def folds(groups: np.ndarray, seed: int) -> np.ndarray:
  """The fold, 0 to FOLDS - 1, of each row [N]: complete groups are in one."""
  names, index = np.unique(groups, return_inverse=True)
  order = np.random.default_rng(seed).permutation(len(names))
  return (order % FOLDS)[index]


def partners(
  keys: Sequence[Hashable] | None, values: np.ndarray, before: int, after: int
) -> np.ndarray:
  """Pairs of rows that differ in one factor alone, int [P, 2]. There are none if two rows of one of
  the values have the same key, because then the keys do not tell rows apart.

  Args:
    keys: all else that is known of each row; None: nothing.
    values: of the factor, [N]; the first row of a pair has the value `before`, the second `after`.
  """
  places = []
  for value in (before, after):
    rows = np.flatnonzero(values == value)
    places.append({keys[i]: i for i in rows} if keys else {})
    if len(places[-1]) < len(rows):
      return np.empty((0, 2), np.int64)
  pairs = [(i, places[1][key]) for key, i in places[0].items() if key in places[1]]
  return np.asarray(pairs, np.int64).reshape(-1, 2)
