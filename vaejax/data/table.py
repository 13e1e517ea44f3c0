"""Table: one split of a dataset as rows of raw arrays. All readers return it."""

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import numpy as np

from vaejax.units import Units

NONE = MappingProxyType({})
HASH_BYTES = 2**24  # bytes that are hashed at once


class Table(NamedTuple):
  """One split of a dataset.

  A row has 'image' [H, W, C] or 'video' [T, H, W, C], and optionally 'label' int32 [] and 'factors'
  int32 [F]. 8-bit data is uint8. Real numbers are uint16 or float32, in their own units. A
  negative label means that the row has no label.

  Attributes:
    size: number of rows.
    row: shape and dtype of each field of one row, without a batch axis.
    classes: number of label classes, or None without labels.
    load: () -> all rows on the host, {field: [size, ...]}; may be memory-mapped.
    fetch: indices [N] -> those rows on the host, {field: [N, ...]}.
    render: for a procedural dataset, indices [N] -> those rows, as a pure function on the device.
    origin: what was read, in words: 'mnist/3.0.1 train'.
    levels: number of values that an element can take, such as 256 for 8 bits and 65,536 for 16; 0
      for floats.
    units: of real numbers; None for 8-bit data.
    class_names: the name of each class, () if they have none.
    factors: {name of a factor: number of its values}, in the order of 'factors'.
    names: () -> the name of each row's file; None if rows have no files.
    labels: () -> the labels of all rows, without the images; None: they are read with the rows.
    groups: () -> the number of the group of each row, such as its video, [size]: complete groups
      are held out for validation. None: each row is a group.
    content: () -> {field: digest}, which identifies the rows; None: the digests of all rows.
    notes: lines for the user about what was skipped, measured or assumed.
  """

  size: int
  row: Mapping[str, jax.ShapeDtypeStruct]
  classes: int | None
  load: Callable[[], Mapping[str, np.ndarray]]
  fetch: Callable[[np.ndarray], Mapping[str, np.ndarray]]
  render: Callable[[jax.Array], Mapping[str, jax.Array]] | None = None
  origin: str = ''
  levels: int = 256
  units: Units | None = None
  class_names: tuple[str, ...] = ()
  factors: Mapping[str, int] = NONE
  names: Callable[[], list[str]] | None = None
  content: Callable[[], Mapping[str, str]] | None = None
  notes: tuple[str, ...] = ()
  labels: Callable[[], np.ndarray] | None = None
  groups: Callable[[], np.ndarray] | None = None


def of_arrays(arrays: Mapping[str, np.ndarray], classes: int | None, origin: str) -> Table:
  """The table of arrays in memory, {field: [N, ...]}."""
  row = {k: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for k, v in arrays.items()}
  fetch = lambda index: {k: v[index] for k, v in arrays.items()}
  labels = (lambda: arrays['label']) if 'label' in arrays else None
  size = len(next(iter(arrays.values())))
  return Table(size, row, classes, lambda: arrays, fetch, None, origin, labels=labels)


def rendered(size: int, render: Callable, classes: int | None, origin: str) -> Table:
  """The procedural table of `size` rows, where `render` is a pure function of indices [N]."""
  row = jax.eval_shape(render, jax.ShapeDtypeStruct((1,), np.int32))
  row = {k: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for k, v in row.items()}
  on_device = jax.jit(render)
  fetch = lambda index: jax.device_get(on_device(index))
  content = lambda: dict.fromkeys(row, f'{origin} {size}')
  return Table(
    size, row, classes, lambda: fetch(np.arange(size)), fetch, render, origin, content=content
  )


def without_labels(table: Table) -> Table:
  """The same rows without the field 'label'."""
  drop = lambda rows: {name: x for name, x in rows.items() if name != 'label'}
  return table._replace(
    row=drop(table.row),
    classes=None,
    load=lambda: drop(table.load()),
    fetch=lambda index: drop(table.fetch(index)),
    render=table.render and (lambda index: drop(table.render(index))),
    class_names=(),
    content=table.content and (lambda: drop(table.content())),
    labels=None,
  )


def digests(arrays: Mapping[str, np.ndarray], rows: int | None = None) -> dict[str, str]:
  """{field: digest of its values in the first `rows` rows, None: in all}."""
  result = {}
  for name, x in arrays.items():
    x = x[:rows]
    digest = hashlib.blake2b(f'{x.dtype} {x.shape}'.encode(), digest_size=12)
    step = max(1, HASH_BYTES // max(1, x[:1].nbytes))
    for first in range(0, len(x), step):
      digest.update(np.ascontiguousarray(x[first : first + step]))
    result[name] = digest.hexdigest()
  return result


def content(table: Table) -> dict[str, str]:
  """{field: digest}, which identifies the rows of a table and not their place."""
  return dict(table.content() if table.content else digests(table.load()))
