"""Modes of a distribution that samples cover, from the number of samples in each."""

import math

import numpy as np

from vaejax.estimates import RESAMPLES, Estimate, resampled


def reverse_kl(counts: np.ndarray, data: np.ndarray) -> np.ndarray:
  """KL(samples || data) in nats over modes, from the counts [..., M] of samples and the proportions
  [M] of the data, which are positive. NaN without samples.

  Of N samples from the data themselves it is about (M - 1) / 2N.
  """
  counts = np.asarray(counts, np.float64)
  with np.errstate(invalid='ignore', divide='ignore'):
    p = counts / counts.sum(axis=-1, keepdims=True)
    terms = np.where(p > 0, p * np.log(p / data), p)
  return terms.sum(axis=-1)


def coverage(counts: np.ndarray, data: np.ndarray, outside: int = 0) -> dict[str, Estimate]:
  """`modes_covered`, the number of modes with a sample, and `mode_kl`, see `reverse_kl`, with
  errors by the bootstrap over samples.

  Args:
    counts: of samples in each mode, [M].
    data: the proportions of the modes in the data, [M].
    outside: number of samples in no mode, which the bootstrap draws too.
  """
  counts = np.asarray(counts, np.int64)
  every = np.append(counts, outside)
  drawn = np.random.default_rng(0).multinomial(every.sum(), every / every.sum(), RESAMPLES)[:, :-1]
  modes, of_drawn = float(np.sum(counts > 0)), np.sum(drawn > 0, axis=-1)
  result = {'modes_covered': resampled(modes, of_drawn, (0, len(counts)))}
  if counts.any():
    inside = drawn[drawn.any(axis=-1)]
    result['mode_kl'] = resampled(
      float(reverse_kl(counts, data)), reverse_kl(inside, data), (0, math.inf)
    )
  return result
