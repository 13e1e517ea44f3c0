"""Means over examples, with their standard errors, in float64 on the host."""

import math

import numpy as np


def mean(values, axis: int = 0) -> tuple:
  """The mean over an axis of N examples, and its standard error: sample deviation / sqrt(N), or
  None if N is 1. Two floats for a vector, else two arrays."""
  values = np.asarray(values, np.float64)
  n = values.shape[axis]
  with np.errstate(invalid='ignore'):  # nan, without a warning, for values that are not finite
    error = values.std(axis, ddof=1) / math.sqrt(n) if n > 1 else None
  if values.ndim > 1:
    return values.mean(axis), error
  return float(values.mean()), None if error is None else float(error)


def means(rows) -> dict[str, tuple[float, float | None]]:
  """{name: (mean, standard error)} from {name: [N]}."""
  return {name: mean(values) for name, values in rows.items()}


def proportion(count, total) -> tuple[float, float | None]:
  """count / total, and its standard error as a mean of zeros and ones. total is positive."""
  total = float(total)
  value = float(count) / total
  return value, math.sqrt(max(value * (1 - value), 0.0) / (total - 1)) if total > 1 else None
