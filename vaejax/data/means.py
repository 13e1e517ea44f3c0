"""The mean of the training data, with which a centred method is initialised."""

import jax.numpy as jnp
import numpy as np

from vaejax.data.table import Table
from vaejax.types import Batch, Example, zeros

MAX_ROWS = 100_000  # rows in the mean; from a larger split, evenly spaced ones
BLOCK = 1024  # rows that are read at once


def first_batch(rows: Table, example: Example) -> Batch:
  """A batch of one example: the mean of the data, in its own range, and other fields blank.

  It is the mean of the raw values, which random binarisation does not change.
  """
  name = example.data
  total, count = 0.0, min(rows.size, MAX_ROWS)
  index = np.linspace(0, rows.size - 1, count).astype(np.int64) if count < rows.size else None
  for first in range(0, count, BLOCK):
    chosen = np.arange(first, min(first + BLOCK, count))
    values = rows.fetch(chosen if index is None else index[chosen])[name]
    total = total + np.sum(values, axis=0, dtype=np.float64)
  mean = total / count
  if rows.row[name].dtype == np.uint8:
    mean = mean / 255
  mean = example.low + (example.high - example.low) * jnp.asarray(mean, jnp.float32)
  return {**zeros(example, 1), name: mean[None]}
