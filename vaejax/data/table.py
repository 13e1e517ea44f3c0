"""Table: one split of a dataset as rows of raw arrays. All readers return it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np


class Table(NamedTuple):
  """One split of a dataset. A row has 'image' uint8 [H, W, C] or 'video' uint8 [T, H, W, C], and
  optionally 'label' int32 [].

  Attributes:
    size: number of rows.
    row: shape and dtype of each field of one row, without a batch axis.
    classes: number of label classes, or None without labels.
    load: () -> all rows on the host, {field: [size, ...]}; may be memory-mapped.
    fetch: indices [N] -> those rows on the host, {field: [N, ...]}.
    render: for a procedural dataset, indices [N] -> those rows, as a pure function on the device.
    origin: name of what was read, which changes whenever the rows do: 'mnist/3.0.1 train'.
    limits: for real numbers (float32 in arbitrary units), the range that pictures show; None for
      8-bit data.
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
  """The table of arrays in memory, {field: [N, ...]}."""
  row = {k: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for k, v in arrays.items()}
  fetch = lambda index: {k: v[index] for k, v in arrays.items()}
  return Table(len(next(iter(arrays.values()))), row, classes, lambda: arrays, fetch, None, origin)


def rendered(size: int, render: Callable, classes: int | None, origin: str) -> Table:
  """The procedural table of `size` rows, where `render` is a pure function of indices [N]."""
  row = jax.eval_shape(render, jax.ShapeDtypeStruct((1,), np.int32))
  row = {k: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for k, v in row.items()}
  on_device = jax.jit(render)
  fetch = lambda index: jax.device_get(on_device(index))
  return Table(size, row, classes, lambda: fetch(np.arange(size)), fetch, render, origin)
