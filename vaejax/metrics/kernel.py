"""The kernel distance of features (Bińkowski et al. 2018, arXiv:1801.01401, section 4): the squared
maximum mean discrepancy with the kernel (x·y / F + 1)³, in float64 on the host. It is called KID
only for features of the Inception network."""

import math

import numpy as np

from vaejax.estimates import COVERAGE, Estimate

DEGREE = 3
SEED = 2020  # of the subsets, as in torch-fidelity


def unbiased(a: np.ndarray, b: np.ndarray) -> float:
  """The unbiased estimate from rows a [N, F] and b [M, F] (Gretton et al. 2012, equation 3)."""
  kernel = lambda x, y: (x @ y.T / x.shape[1] + 1) ** DEGREE

  def within(x):
    """The mean of the kernel over pairs of different rows."""
    products = kernel(x, x)
    return (products.sum() - np.trace(products)) / (len(x) * (len(x) - 1))

  return float(within(a) + within(b) - 2 * kernel(a, b).mean())


def between(a, b, subsets: int = 100, size: int = 1000) -> Estimate:
  """The mean of the unbiased estimate over random subsets of rows a [N, F] and b [M, F].

  The subsets are those of torch-fidelity. The standard error is that of subsampling (Politis,
  Romano & Wolf 1999, chapter 2): the deviation over subsets is scaled from their size m to all rows
  n by sqrt(m / (n - m)), because subsets of the same rows overlap. draws_error is the part that the
  choice of the subsets adds. If there are not more rows than `size`, subsets have half of them, and
  a note says so. With fewer than two rows it is NaN.
  """
  a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
  rows = min(len(a), len(b))
  if rows < 2:
    return Estimate(math.nan, note='it needs two rows or more')
  used = size if rows > size else max(rows // 2, 2)
  random = np.random.RandomState(SEED)
  values = np.asarray(
    [
      unbiased(
        a[random.choice(len(a), used, replace=False)], b[random.choice(len(b), used, replace=False)]
      )
      for _ in range(subsets)
    ]
  )
  value = float(values.mean())
  note = f'subsets of {used:,}, because there are {rows:,} rows' if used < size else ''
  if subsets < 2 or rows < 4:
    return Estimate(value, note=note)
  deviation = float(values.std(ddof=1))
  draws_error = deviation / math.sqrt(subsets)
  factor = math.sqrt(used / (rows - used))
  error = math.hypot(factor * deviation, draws_error)
  tail = 100 * (1 - COVERAGE) / 2
  ends = np.percentile(values - value, (tail, 100 - tail)) * error / deviation if deviation else ()
  interval = tuple(float(value + end) for end in ends) or None
  return Estimate(value, error, interval, draws_error, note)
