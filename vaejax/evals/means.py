"""Means over examples, with their standard errors, in float64 on the host."""

import math

import numpy as np


def mean(values, axis: int = 0) -> tuple:
  """Mean over an axis of N examples, and its standard error: sample deviation / sqrt(N); None of
  one alone. Of a vector two floats, else two arrays."""
  values = np.asarray(values, np.float64)
  n = values.shape[axis]
  with np.errstate(invalid='ignore'):  # of values that are not finite it is not a number
    error = values.std(axis, ddof=1) / math.sqrt(n) if n > 1 else None
  if values.ndim > 1:
    return values.mean(axis), error
  return float(values.mean()), None if error is None else float(error)


def means(rows) -> dict[str, tuple[float, float | None]]:
  """{name: (mean, standard error)} of {name: [N]}."""
  return {name: mean(values) for name, values in rows.items()}


def share(count, of) -> tuple[float, float | None]:
  """count / of, 0 of none, and its standard error as a mean of zeros and ones."""
  of = float(of)
  value = float(count) / max(of, 1.0)
  return value, math.sqrt(max(value * (1 - value), 0.0) / (of - 1)) if of > 1 else None
