"""Arrays in memory as a data set, for runs that are trained from Python."""

import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from vaejax.data.fit import check
from vaejax.data.fit import fit as fitted
from vaejax.data.table import Table
from vaejax.errors import UserError

NAME = 'arrays'  # as a config's data.name
SPLITS = 'train', 'test', 'validation'
RANKS = {'image': 4, 'video': 5}
BLOCK = 2**24  # bytes that are hashed at once


def tables(data: Mapping[str, Any]) -> dict[str, Table]:
  """The splits of {'train': arrays, 'test': arrays}, and 'validation' where there is one.

  Arrays are images [N, H, W, C] ([N, H, W] of one channel), or {'image': those} or {'video':
  [N, T, H, W, C]} with the 'label' int [N] of each. Integers are uint8; floats are real numbers in
  their own units. Classes and range are those of train. Raises UserError.
  """
  unknown = [split for split in data if split not in SPLITS]
  missing = [split for split in SPLITS[:2] if split not in data]
  if unknown or missing:
    what = f'has no {missing[0]!r}' if missing else f'has {unknown[0]!r}'
    raise UserError(f"data {what}: it takes {{'train': arrays, 'test': arrays}}, and 'validation'")
  found = {split: read(arrays, split) for split, arrays in data.items()}
  first = found['train']
  shapes = {k: (v.shape[1:], v.dtype) for k, v in first.items()}
  classes = int(first['label'].max()) + 1 if 'label' in first else None
  limits = bounds(first['video' if 'video' in first else 'image'])
  for split, arrays in found.items():
    own = {k: (v.shape[1:], v.dtype) for k, v in arrays.items()}
    if own != shapes:
      raise UserError(f'data: {split} has {described(own)}, and train {described(shapes)}')
    if classes and arrays['label'].max() >= classes:
      label = int(arrays['label'].max())
      raise UserError(f'data: {split} has the label {label}, and train 0 to {classes - 1}')
  return {split: table_of(arrays, split, classes, limits) for split, arrays in found.items()}


def described(shapes: Mapping[str, tuple]) -> str:
  """Fields in words."""
  return ', '.join(f'{k} {dtype} {list(shape)}' for k, (shape, dtype) in sorted(shapes.items()))


def bounds(x: np.ndarray) -> tuple[float, float] | None:
  """The least and the greatest of real numbers; None of 8 bits."""
  if x.dtype == np.uint8:
    return None
  low, high = float(x.min()), float(x.max())
  return low, high if high > low else low + 1.0


def read(arrays: Any, split: str) -> dict[str, np.ndarray]:
  """The fields of a split, checked. Raises UserError."""
  named = dict(arrays) if isinstance(arrays, Mapping) else {'image': arrays}
  if not named.keys() <= {*RANKS, 'label'} or len(RANKS.keys() & named.keys()) != 1:
    raise UserError(
      f"data: {split} has the fields {', '.join(map(repr, named))}: it takes 'image' or 'video', "
      "and 'label'"
    )
  found = {}
  for name, x in named.items():
    try:
      x = np.asarray(x)
    except (ValueError, TypeError):
      raise UserError(f'data: {name} of {split} is no array: its parts differ in shape') from None
    found[name] = label(x, split) if name == 'label' else pixels(x, name, split)
  sizes = {name: len(x) for name, x in found.items()}
  if len(set(sizes.values())) > 1 or not all(sizes.values()):
    told = ', '.join(f'{size} of {name}' for name, size in sizes.items())
    raise UserError(f'data: {split} has {told} rows: give as many of each, one at least')
  return found


def pixels(x: np.ndarray, name: str, split: str) -> np.ndarray:
  """Images or videos as uint8 or float32. Raises UserError."""
  what, rank = f'data: {name} of {split}', RANKS[name]
  x = x[..., None] if x.ndim == rank - 1 else x
  if x.ndim != rank or not all(x.shape[1:]):
    axes = '[N, H, W, C] or [N, H, W]' if rank == 4 else '[N, T, H, W, C] or [N, T, H, W]'
    raise UserError(f'{what} has the shape {list(x.shape)}, and it takes {axes}')
  if x.dtype == np.uint8:
    return x
  if x.dtype.kind != 'f':
    raise UserError(f'{what} is of dtype {x.dtype}, and it takes uint8, or floats in their units')
  x = x.astype(np.float32, copy=False)
  if not np.isfinite(x).all():
    raise UserError(f'{what} has values that are not finite')
  return x


def label(x: np.ndarray, split: str) -> np.ndarray:
  """Labels as int32. Raises UserError."""
  if x.ndim != 1 or x.dtype.kind not in 'iu' or (x.size and not 0 <= x.min() <= x.max() < 2**31):
    raise UserError(f'data: label of {split} takes whole numbers from 0, one of each row, [N]')
  return x.astype(np.int32, copy=False)


def table_of(
  arrays: Mapping[str, np.ndarray],
  split: str,
  classes: int | None,
  limits: tuple[float, float] | None,
) -> Table:
  """The Table of checked arrays, whose `origin` is a checksum of all that they hold."""
  digest = hashlib.blake2b(digest_size=12)
  for name, x in sorted(arrays.items()):
    digest.update(f'{name} {x.dtype} {x.shape}'.encode())
    rows = max(1, BLOCK // max(1, x[:1].nbytes))
    for first in range(0, len(x), rows):
      digest.update(np.ascontiguousarray(x[first : first + rows]))
  row = {k: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for k, v in arrays.items()}
  fetch = lambda index: {k: v[index] for k, v in arrays.items()}
  origin = f'{NAME} {split} {digest.hexdigest()}'
  size = len(next(iter(arrays.values())))
  return Table(size, row, classes, lambda: arrays, fetch, None, origin, limits)


def table(split: str, given: Any, size=None, channels=None, fit='resize') -> Table:
  """A split of `tables`, which is `given`, brought to a size and a number of channels. Raises
  UserError where there is none: the arrays that a run was trained on are not kept."""
  if not isinstance(given, Mapping):
    raise UserError(
      'the data are arrays that were given to vaejax.train and are not kept: call that again with '
      'data=..., which goes on, or ask the run itself by vaejax.load'
    )
  if split not in given:
    raise UserError(f'the arrays have no split {split!r}: there are {", ".join(given)}')
  rows = given[split]
  name = 'video' if 'video' in rows.row else 'image'
  *_, h, w, c = rows.row[name].shape
  check(size, channels, fit)
  if (size or h, size or w, channels or c) == (h, w, c):
    return rows
  if rows.limits or name == 'video':
    raise UserError(
      f'the arrays are {name}s of {h}x{w}x{c}, and only 8-bit images are resized: set data.size=0 '
      'and data.channels=0'
    )
  arrays = dict(rows.load())
  arrays['image'] = np.stack([fitted(x, size, channels, fit) for x in arrays['image']])
  return table_of(arrays, split, rows.classes, None)
