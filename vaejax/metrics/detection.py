"""How well a score detects outliers: AUROC, average precision and FPR at 95 % TPR.

An outlier is a positive, and a larger score means that an example is more likely an outlier. All is
computed from the numbers of outliers and inliers at each distinct score, so ties are exact.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from vaejax.estimates import RESAMPLES, Estimate, resampled

RECALL = 0.95  # the proportion of outliers that FPR at 95 % TPR detects
MIN_ROWS = 100  # of each kind; with fewer, a quantile at 95 % has a note


class Counts(NamedTuple):
  """The numbers of outliers and of inliers at each distinct score, the largest first: int [T]."""

  outliers: np.ndarray
  inliers: np.ndarray


def counts(outliers, inliers) -> Counts:
  """The Counts of the scores of outliers [P] and of inliers [N]."""
  return count_places(*places_of(outliers, inliers))


def count_places(places, size: int) -> Counts:
  """The Counts of the places of outliers and of inliers, among `size` of them."""
  return Counts(*(np.bincount(p, minlength=size) for p in places))


def places_of(outliers, inliers) -> tuple[tuple[np.ndarray, np.ndarray], int]:
  """The place of each score among the T distinct ones, the largest first, and T."""
  scores = -np.concatenate([np.asarray(x, np.float64) for x in (outliers, inliers)])
  distinct, place = np.unique(scores, return_inverse=True)
  return (place[: len(outliers)], place[len(outliers) :]), len(distinct)


def auroc(c: Counts) -> float:
  """The probability that an outlier has a larger score than an inlier; a tie counts one half."""
  below = c.inliers.sum() - np.cumsum(c.inliers)
  pairs = float(c.outliers.sum()) * float(c.inliers.sum())
  return float(np.dot(c.outliers.astype(np.float64), below + c.inliers / 2)) / pairs


def average_precision(c: Counts) -> float:
  """The mean over outliers of the precision at their score: the area under the precision-recall
  curve as a step function."""
  detected = np.cumsum(c.outliers)
  precision = detected / np.maximum(detected + np.cumsum(c.inliers), 1)
  return float(np.dot(c.outliers, precision)) / float(detected[-1])


def fpr_at_recall(c: Counts, recall: float = RECALL) -> float:
  """The proportion of inliers at or above a threshold: the largest score that at least `recall` of
  the outliers reach."""
  detected = np.cumsum(c.outliers)
  place = np.argmax(detected >= recall * detected[-1])
  return float(np.cumsum(c.inliers)[place]) / float(c.inliers.sum())


STATISTICS: dict[str, Callable[[Counts], float]] = {
  'auroc': auroc,
  'ap': average_precision,
  'fpr95': fpr_at_recall,
}


def detection(outliers, inliers, resamples: int = RESAMPLES) -> dict[str, Estimate]:
  """{name: Estimate} of STATISTICS, with bootstrap intervals: outliers and inliers are resampled
  separately.

  Args:
    outliers, inliers: finite scores [P] and [N], at least one of each.
  """
  places, size = places_of(outliers, inliers)
  of_all = count_places(places, size)
  random, values = np.random.default_rng(0), {name: [] for name in STATISTICS}
  for _ in range(resamples):
    again = count_places((p[random.integers(len(p), size=len(p))] for p in places), size)
    for name, statistic in STATISTICS.items():
      values[name].append(statistic(again))
  estimates = {}
  for name, statistic in STATISTICS.items():
    estimates[name] = resampled(statistic(of_all), values[name], (0, 1))
  few = [
    f'{len(p)} {kind}'
    for p, kind in zip(places, ('outliers', 'inliers'), strict=True)
    if len(p) < MIN_ROWS
  ]
  if few:
    note = f'only {" and ".join(few)}'
    estimates['fpr95'] = estimates['fpr95']._replace(note=note)
  return estimates
