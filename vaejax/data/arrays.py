"""Arrays in memory as a dataset, for runs that are started from Python."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from vaejax.data.fit import check_settings, fit_image, fitted_shape
from vaejax.data.table import Table, of_arrays
from vaejax.errors import UserError

NAME = 'arrays'  # the value of data.name in a config
SPLITS = 'train', 'test', 'validation'
RANKS = {'image': 4, 'video': 5}
HASH_BYTES = 2**24  # bytes that are hashed at once


def tables(data: Mapping[str, Any]) -> dict[str, Table]:
  """The splits of {'train': arrays, 'test': arrays} and optionally 'validation'.

  Arrays are images [N, H, W, C] or [N, H, W], or a dict with 'image' or 'video' [N, T, H, W, C] and
  optionally 'label' int [N]. uint8 values are grey levels; floats are real numbers in arbitrary
  units. The number of classes and the range are those of train. Raises UserError.
  """
  unknown = [split for split in data if split not in SPLITS]
  missing = [split for split in SPLITS[:2] if split not in data]
  if unknown or missing:
    problem = f'has no {missing[0]!r}' if missing else f'has an unknown split {unknown[0]!r}'
    raise UserError(
      f"data {problem}. Give {{'train': arrays, 'test': arrays}}, and optionally 'validation'"
    )
  splits = {split: read(arrays, split) for split, arrays in data.items()}
  train = splits['train']
  train_fields = {k: (v.shape[1:], v.dtype) for k, v in train.items()}
  classes = int(train['label'].max()) + 1 if 'label' in train else None
  limits = bounds(train['video' if 'video' in train else 'image'])
  for split, arrays in splits.items():
    fields = {k: (v.shape[1:], v.dtype) for k, v in arrays.items()}
    if fields != train_fields:
      raise UserError(
        f'data: {split} has {describe(fields)}, but train has {describe(train_fields)}. Give all '
        'splits the same fields and shapes'
      )
    if classes and arrays['label'].max() >= classes:
      raise UserError(
        f'data: {split} has the label {int(arrays["label"].max())}, but train only has 0 to '
        f'{classes - 1}'
      )
  return {split: table_of(arrays, split, classes, limits) for split, arrays in splits.items()}


def describe(fields: Mapping[str, tuple]) -> str:
  """The names, dtypes and shapes of fields, for an error."""
  return ', '.join(f'{k} {dtype} {list(shape)}' for k, (shape, dtype) in sorted(fields.items()))


def bounds(x: np.ndarray) -> tuple[float, float] | None:
  """The minimum and maximum of real numbers; None for uint8."""
  if x.dtype == np.uint8:
    return None
  low, high = float(x.min()), float(x.max())
  return low, high if high > low else low + 1.0


def read(arrays: Any, split: str) -> dict[str, np.ndarray]:
  """The fields of a split as arrays of the right dtypes. Raises UserError."""
  fields = dict(arrays) if isinstance(arrays, Mapping) else {'image': arrays}
  if not fields.keys() <= {*RANKS, 'label'} or len(RANKS.keys() & fields.keys()) != 1:
    raise UserError(
      f"data: {split} has the fields {', '.join(map(repr, fields))}. Give either 'image' or "
      "'video', and optionally 'label'"
    )
  result = {}
  for name, x in fields.items():
    try:
      x = np.asarray(x)
    except (ValueError, TypeError):
      raise UserError(
        f'data: {name} of {split} is not an array, because its rows differ in shape'
      ) from None
    result[name] = label(x, split) if name == 'label' else pixels(x, name, split)
  sizes = {name: len(x) for name, x in result.items()}
  if len(set(sizes.values())) > 1 or not all(sizes.values()):
    counts = ', '.join(f'{size} of {name}' for name, size in sizes.items())
    raise UserError(f'data: {split} has {counts} rows. Give the same number of each, at least one')
  return result


def pixels(x: np.ndarray, name: str, split: str) -> np.ndarray:
  """Images or videos as uint8 or float32. Raises UserError."""
  field, rank = f'data: {name} of {split}', RANKS[name]
  x = x[..., None] if x.ndim == rank - 1 else x
  if x.ndim != rank or not all(x.shape[1:]):
    axes = '[N, H, W, C] or [N, H, W]' if rank == 4 else '[N, T, H, W, C] or [N, T, H, W]'
    raise UserError(f'{field} has the shape {list(x.shape)}. It must be {axes}')
  if x.dtype == np.uint8:
    return x
  if x.dtype.kind != 'f':
    raise UserError(
      f'{field} has the dtype {x.dtype}. Give uint8 for grey levels, or floats for real numbers'
    )
  x = x.astype(np.float32, copy=False)
  if not np.isfinite(x).all():
    raise UserError(f'{field} has values that are not finite')
  return x


def label(x: np.ndarray, split: str) -> np.ndarray:
  """Labels as int32. Raises UserError."""
  if x.ndim != 1 or x.dtype.kind not in 'iu' or (x.size and not 0 <= x.min() <= x.max() < 2**31):
    raise UserError(f'data: label of {split} must be whole numbers from 0, one for each row [N]')
  return x.astype(np.int32, copy=False)


def table_of(
  arrays: Mapping[str, np.ndarray],
  split: str,
  classes: int | None,
  limits: tuple[float, float] | None,
) -> Table:
  """The table of arrays from `read`. Its `origin` has a checksum of their values."""
  digest = hashlib.blake2b(digest_size=12)
  for name, x in sorted(arrays.items()):
    digest.update(f'{name} {x.dtype} {x.shape}'.encode())
    rows = max(1, HASH_BYTES // max(1, x[:1].nbytes))
    for first in range(0, len(x), rows):
      digest.update(np.ascontiguousarray(x[first : first + rows]))
  origin = f'{NAME} {split} {digest.hexdigest()}'
  return of_arrays(arrays, classes, origin)._replace(limits=limits)


def table(split: str, given: Any, size=None, channels=None, fit='resize') -> Table:
  """A split of `given`, the result of `tables`, resized to a size and a number of channels. Raises
  UserError if `given` is None, because a run does not store its arrays."""
  if not isinstance(given, Mapping):
    raise UserError(
      'the data of this run are arrays that were given to vaejax.train and are not saved. Call '
      'vaejax.train again with data=... to continue the run, or use the run from vaejax.load'
    )
  if split not in given:
    raise UserError(f'the arrays have no split {split!r}. Choose one of {", ".join(given)}')
  rows = given[split]
  name = 'video' if 'video' in rows.row else 'image'
  shape = rows.row[name].shape[-3:]
  check_settings(size, channels, fit)
  if fitted_shape(shape, size, channels) == shape:
    return rows
  if rows.limits or name == 'video':
    raise UserError(
      f'the arrays are {name}s of {"x".join(map(str, shape))}, but only 8-bit images can be '
      'resized. Set data.size=0 and data.channels=0'
    )
  arrays = dict(rows.load())
  arrays['image'] = np.stack([fit_image(x, size, channels, fit) for x in arrays['image']])
  return table_of(arrays, split, rows.classes, None)
