"""What every dataset reader gives and `source.py` takes: one split as rows of raw arrays."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np


class Table(NamedTuple):
  """One split of a dataset. A row's 'image' is uint8 [H, W, C], or its 'video' uint8
  [T, H, W, C]; its 'label' int32 [].

  Attributes:
    size: number of rows.
    row: shape and dtype of each field of one row, without a batch axis.
    classes: number of label classes, or None where there is no label.
    load: gives the whole split on the host, {field: [size, ...]}; may be memory-mapped.
    fetch: gives the rows at some indices [N] on the host, {field: [N, ...]}.
    render: for a procedural set, the rows at some indices [N] as a pure function on the device.
    origin: what was read, in words that change where its rows do: 'mnist/3.0.1 train'.
    limits: of data that is real numbers, float32 in their own units, the range that is shown in
      pictures; None of 8-bit data.
  """

  size: int
  row: Mapping[str, jax.ShapeDtypeStruct]
  classes: int | None
  load: Callable[[], Mapping[str, np.ndarray]]
  fetch: Callable[[np.ndarray], Mapping[str, np.ndarray]]
  render: Callable[[jax.Array], Mapping[str, jax.Array]] | None = None
  origin: str = ''
  limits: tuple[float, float] | None = None


def of_arrays(arrays: Mapping[str, np.ndarray], classes: int | None, origin: str) -> Table:
  """The table of {field: [N, ...]} that lie in memory."""
  row = {k: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for k, v in arrays.items()}
  fetch = lambda index: {k: v[index] for k, v in arrays.items()}
  return Table(len(next(iter(arrays.values()))), row, classes, lambda: arrays, fetch, None, origin)


def rendered(size: int, render: Callable, classes: int | None, origin: str) -> Table:
  """The procedural table of `size` rows that a pure function of their indices [N] gives."""
  row = jax.eval_shape(render, jax.ShapeDtypeStruct((1,), np.int32))
  row = {k: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for k, v in row.items()}
  on_device = jax.jit(render)
  fetch = lambda index: jax.device_get(on_device(index))
  return Table(size, row, classes, lambda: fetch(np.arange(size)), fetch, render, origin)
