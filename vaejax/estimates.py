"""Values with their errors, in float64 on the host: means over examples, proportions, and bootstrap
intervals of other statistics."""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

RESAMPLES = 200  # bootstrap samples
COVERAGE = 0.95  # of bootstrap intervals
UNBOUNDED = -math.inf, math.inf


class Estimate(NamedTuple):
  """A test value.

  Attributes:
    value: the value.
    error: its standard error; None if it is unknown.
    interval: its 95 % interval, if that is not value ± 1.96 error.
    draws_error: the part of `error` that random draws cause, which is the standard error for these
      examples; None if nothing is drawn, or if it is unknown.
    note: a warning about the value; '' for none.
    n: number of examples that the value is computed from; None: all that its eval was given.
    unordered: whether its name has a number that means another thing in each run, as that of a
      latent dimension. Tables over seeds leave it out.
  """

  value: float
  error: float | None = None
  interval: tuple[float, float] | None = None
  draws_error: float | None = None
  note: str = ''
  n: int | None = None
  unordered: bool = False

  def to_json(self) -> dict:
    """The fields of the estimate that are known; `error` always."""
    fields = {k: x for k, x in self._asdict().items() if x is not None and x != ''}
    del fields['unordered']
    return {'value': self.value, 'error': self.error, **fields}

  def scaled(self, factor: float) -> 'Estimate':
    """The estimate of `factor` times the value."""
    times = lambda x: None if x is None else abs(factor) * x
    ends = self.interval and tuple(sorted(factor * end for end in self.interval))
    error, draws_error = times(self.error), times(self.draws_error)
    return Estimate(factor * self.value, error, ends, draws_error, *self[4:])


def in_words(estimate: Estimate) -> str:
  """The estimate as text: '98.4312 ± 0.0512 (still 0.1 nats lower than with 50 draws)'."""
  value, error, interval, _, note, *_ = estimate
  text = f'{value:z.4f}' + (f' ± {error:.4f}' if error is not None else '')
  text += f' [{interval[0]:z.4f}, {interval[1]:z.4f}]' if interval else ''
  return text + (f' ({note})' if note else '')


def mean(values) -> Estimate:
  """The mean of the values [N] of independent examples, with the standard error sample deviation /
  sqrt(N), None if N is 1."""
  values = np.asarray(values, np.float64)
  with np.errstate(invalid='ignore'):  # nan, without a warning, for values that are not finite
    error = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None
  return Estimate(float(values.mean()), error)


def mean_of_draws(values, variances) -> Estimate:
  """The mean over N examples of values that are means over random draws.

  Args:
    values: the mean over the draws of each example, [N].
    variances: the variance of that mean, [N]: of one draw, divided by the number of draws.
  """
  variances = np.asarray(variances, np.float64)
  draws_error = math.sqrt(variances.sum()) / len(variances)
  return mean(values)._replace(draws_error=draws_error)


def means(rows: Mapping) -> dict[str, Estimate]:
  """{name: the mean} of {name: [N]}."""
  return {name: mean(values) for name, values in rows.items()}


def proportion(count, total) -> Estimate:
  """count / total, with its standard error as a mean of zeros and ones. total is positive."""
  total = float(total)
  value = float(count) / total
  error = math.sqrt(max(value * (1 - value), 0.0) / (total - 1)) if total > 1 else None
  return Estimate(value, error, n=int(total))


def bootstrap(statistic: Callable[..., float], *sizes: int, bounds=UNBOUNDED) -> Estimate:
  """A statistic of one or more independent samples, with its error by the bootstrap (Efron &
  Tibshirani 1993, chapters 6 and 13).

  Args:
    statistic: (indices of rows of sample 1 [N1], of sample 2 [N2], ...) -> the statistic of these
      rows, which may be repeated.
    sizes: N1, N2, ...
    bounds: see resampled.
  """
  random = np.random.default_rng(0)
  value = float(statistic(*map(np.arange, sizes)))
  draws = (tuple(random.integers(n, size=n) for n in sizes) for _ in range(RESAMPLES))
  return resampled(value, [statistic(*rows) for rows in draws], bounds)


def resampled(value: float, values, bounds: tuple[float, float] = UNBOUNDED) -> Estimate:
  """A value with the standard error and the 95 % interval of its resampled values. The interval has
  their percentiles, shifted so that their mean is the value, because a distance between resampled
  sets is larger than that between the sets themselves. It is cut at the `bounds` of the
  statistic."""
  values = np.asarray(values, np.float64)
  tail = 100 * (1 - COVERAGE) / 2
  ends = np.percentile(values, (tail, 100 - tail)) + value - values.mean()
  low, high = np.clip(ends, *bounds)
  return Estimate(value, float(values.std(ddof=1)), (float(low), float(high)))
