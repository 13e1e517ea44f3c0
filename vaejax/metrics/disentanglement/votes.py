"""Accuracy of predicting which factor was fixed: the scores of β-VAE (Higgins et al. 2017, section
3.1) and of FactorVAE (Kim & Mnih 2018, arXiv:1802.05983, section 4).

The rows with a fixed value of a factor are drawn, with replacement, from the given rows.
"""

import warnings
from typing import NamedTuple

import numpy as np

MIN_ROWS = 2  # of a value that can be fixed
BATCH = 64  # rows, or pairs of rows, of a vote


class Groups(NamedTuple):
  """Rows by the value of each factor.

  Attributes:
    order: the rows, sorted by each factor, [F, N].
    first, count: where the rows of each value start in `order`, and how many there are: for each
      factor an array of the values with MIN_ROWS rows or more.
  """

  order: np.ndarray
  first: list[np.ndarray]
  count: list[np.ndarray]


def groups(factors: np.ndarray) -> Groups:
  """The groups of factors [N, F]. Raises ValueError if no value of a factor has MIN_ROWS rows."""
  order = np.argsort(factors, axis=0, kind='stable').T
  first, count = [], []
  for column in factors.T:
    counts = np.bincount(column)
    starts = np.cumsum(counts) - counts
    kept = counts >= MIN_ROWS
    if not kept.any():
      raise ValueError(f'no value of a factor has {MIN_ROWS} rows')
    first.append(starts[kept])
    count.append(counts[kept])
  return Groups(order, first, count)


def draw(grouped: Groups, random, votes: int, width: int) -> tuple[np.ndarray, np.ndarray]:
  """The fixed factor of each vote [votes], uniform, and rows [votes, width] that share a value of
  it, which is uniform too."""
  fixed = random.integers(len(grouped.order), size=votes)
  rows = np.empty((votes, width), np.int64)
  for f, (first, count) in enumerate(zip(grouped.first, grouped.count, strict=True)):
    of_factor = np.flatnonzero(fixed == f)
    value = random.integers(len(first), size=len(of_factor))
    offset = random.random((len(of_factor), width)) * count[value][:, None]
    rows[of_factor] = grouped.order[f, first[value][:, None] + offset.astype(np.int64)]
  return fixed, rows


def factor_vae_score(codes, grouped: Groups, random, train: int, test: int) -> float:
  """The accuracy, on `test` votes, of the majority vote of `train` votes.

  A vote fixes a factor and picks the latent with the least variance over a batch, divided by its
  variance over all rows. A latent predicts the factor that was fixed in most votes for it.

  Latents without variance are left out. Without any other, the score is that of the most frequent
  factor.

  Args:
    codes: [N, L].
    random: a numpy Generator.
  """
  fixed, rows = draw(grouped, random, train + test, BATCH)
  variance = codes.var(axis=0, ddof=1)
  active = np.flatnonzero(variance > 0)
  if len(active):
    codes = np.float32((codes[:, active] - codes[:, active].mean(0)) / np.sqrt(variance[active]))
    least = np.argmin(np.stack([x.take(rows).var(axis=1) for x in codes.T], axis=1), axis=1)
  else:
    least = np.zeros(train + test, np.int64)
  factors = len(grouped.order)
  counts = np.bincount(least[:train] * factors + fixed[:train], minlength=codes.shape[1] * factors)
  majority = counts.reshape(-1, factors).argmax(axis=1)
  return float(np.mean(majority[least[train:]] == fixed[train:]))


def beta_vae_score(codes, grouped: Groups, random, train: int, test: int) -> float:
  """The accuracy, on `test` votes, of a linear classifier of the fixed factor, from the mean of
  |z - z'| over BATCH pairs of rows that share its value. It is a logistic regression
  of scikit-learn, trained on `train` votes, with features of unit variance and little
  regularisation.

  The arguments are those of `factor_vae_score`.
  """
  from sklearn.exceptions import ConvergenceWarning
  from sklearn.linear_model import LogisticRegression

  fixed, rows = draw(grouped, random, train + test, 2 * BATCH)
  codes = np.float32(codes)
  gaps = [np.abs(x.take(rows[:, :BATCH]) - x.take(rows[:, BATCH:])).mean(1) for x in codes.T]
  features = np.stack(gaps, axis=1)
  scale = features[:train].std(axis=0)
  features = (features - features[:train].mean(axis=0)) / np.where(scale > 0, scale, 1.0)
  with warnings.catch_warnings():  # where classes are separable, weights would grow for ever
    warnings.simplefilter('ignore', ConvergenceWarning)
    model = LogisticRegression(C=100.0, max_iter=200).fit(features[:train], fixed[:train])
  return float(model.score(features[train:], fixed[train:]))
