"""Statistics over the seeds of a training: means, and paired differences."""

import math
import statistics
from collections.abc import Sequence

from vaejax.estimates import COVERAGE, Estimate


def mean(values: Sequence[float]) -> Estimate:
  """The mean over seeds, with its standard error, sample deviation / sqrt(n), and the interval of
  Student's t with n - 1 degrees of freedom; one value has neither."""
  from scipy.special import stdtrit  # takes half a second to import

  n, value = len(values), statistics.fmean(values)
  if n == 1:
    return Estimate(value)
  error = statistics.stdev(values) / math.sqrt(n)
  half = float(stdtrit(n - 1, (1 + COVERAGE) / 2)) * error
  return Estimate(value, error, (value - half, value + half))


def sign_test(differences: Sequence[float]) -> float:
  """The two-sided p-value of the sign test: the probability of a split of positive and negative
  values at least this uneven, if both are equally likely. Zeros are left out; 1 if all are zero."""
  positive = sum(d > 0 for d in differences)
  n = positive + sum(d < 0 for d in differences)
  tail = sum(math.comb(n, k) for k in range(min(positive, n - positive) + 1)) / 2**n
  return min(1.0, 2 * tail)
