"""Calibration of a classifier: whether its confidence is the probability that it is right (Guo et
al. 2017, arXiv:1706.04599)."""

from typing import NamedTuple

import numpy as np

from vaejax.estimates import Estimate, bootstrap

BINS = 15  # of equal width, as in the paper


class Reliability(NamedTuple):
  """The predictions in bins of their confidence, of equal width over [0, 1].

  Attributes:
    count: number of predictions in each bin, [bins].
    confidence, accuracy: their means in each bin, [bins]; 0 in an empty one.
  """

  count: np.ndarray
  confidence: np.ndarray
  accuracy: np.ndarray


def reliability(confidence, correct, bins: int = BINS) -> Reliability:
  """The reliability diagram of predictions (section 2). Bin m has confidences in
  ((m - 1) / bins, m / bins].

  Args:
    confidence: probability of the predicted class, [N] in [0, 1].
    correct: whether it is the true class, [N].
  """
  confidence, correct = (np.asarray(x, np.float64) for x in (confidence, correct))
  number = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
  count = np.bincount(number, minlength=bins)
  total = lambda values: np.bincount(number, values, minlength=bins)
  filled = np.maximum(count, 1)
  return Reliability(count, total(confidence) / filled, total(correct) / filled)


def gap(confidence, correct, bins: int = BINS) -> float:
  """The expected calibration error of predictions (equation 3): the mean over predictions of
  |accuracy - confidence| of their bin."""
  diagram = reliability(confidence, correct, bins)
  return float(diagram.count @ np.abs(diagram.accuracy - diagram.confidence) / len(confidence))


def expected_calibration_error(confidence, correct, bins: int = BINS) -> Estimate:
  """The expected calibration error with its bootstrap interval, see `gap`. For few predictions it
  is too large, because each bin's accuracy has an error of its own."""
  confidence, correct = np.asarray(confidence), np.asarray(correct)
  resampled = lambda rows: gap(confidence[rows], correct[rows], bins)
  estimate = bootstrap(resampled, len(confidence), bounds=(0.0, 1.0))
  return estimate._replace(n=len(confidence))


def difference(one, other, bins: int = BINS) -> Estimate:
  """The expected calibration error of one classifier minus that of another one, with its bootstrap
  interval. Both predict the same examples, which are resampled together.

  Args:
    one, other: (confidence [N], correct [N]) of each, see `gap`.
  """
  one, other = ([np.asarray(x) for x in pair] for pair in (one, other))
  of = lambda pair, rows: gap(*(x[rows] for x in pair), bins)
  return bootstrap(lambda rows: of(one, rows) - of(other, rows), len(one[0]), bounds=(-1.0, 1.0))
