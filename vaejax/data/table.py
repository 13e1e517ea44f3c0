"""What every dataset reader gives and `source.py` takes: one split as rows of raw arrays."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import numpy as np

# The sets inside the package: each is a module of its name here, with `table(split, ...)`.
EMBEDDED = ('digits', 'shapes', 'moving')
VIDEOS = ('moving',)  # of those, the ones of videos


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
