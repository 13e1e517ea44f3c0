"""What identifies the rows of a split by their values, for datasets of any size."""

import math
from collections.abc import Callable, Mapping

import jax
import numpy as np

from vaejax.data.table import digests

EXACT_BYTES = 2**28  # of a split; larger ones are compared by a sample
SAMPLE = 64  # rows


def row_bytes(row: Mapping[str, jax.ShapeDtypeStruct]) -> int:
  """The bytes of one row."""
  return sum(math.prod(f.shape) * f.dtype.itemsize for f in row.values())


def content(
  size: int, row: Mapping[str, jax.ShapeDtypeStruct], fetch: Callable
) -> Callable[[], Mapping[str, str]] | None:
  """The `content` of a Table with these rows.

  Up to EXACT_BYTES it is None, so the digests are those of all rows. Otherwise they are those of
  SAMPLE evenly spaced rows, together with the number of rows.
  """
  if size * row_bytes(row) <= EXACT_BYTES:
    return None
  index = np.linspace(0, size - 1, SAMPLE).astype(np.int64)
  return lambda: {k: f'{size} rows {v}' for k, v in digests(fetch(index)).items()}
