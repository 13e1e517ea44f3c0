"""Arrays in memory as a dataset, for runs that are started from Python."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vaejax import units
from vaejax.data.fit import check_settings, fit_image, fitted_shape
from vaejax.data.settings import Settings
from vaejax.data.table import Table, digests, of_arrays
from vaejax.errors import UserError

NAME = 'arrays'  # the value of data.name in a config
SPLITS = 'train', 'test', 'validation'
RANKS = {'image': 4, 'video': 5}
LEVELS = {'uint8': 256, 'uint16': 65536}


def tables(data: Mapping[str, Any]) -> dict[str, Table]:
  """The splits of {'train': arrays, 'test': arrays} and optionally 'validation'.

  Arrays are images [N, H, W, C] or [N, H, W], or a dict with 'image' or 'video' [N, T, H, W, C] and
  optionally 'label' int [N]. uint8 values are grey levels; uint16 and floats are real numbers in
  their own units. The number of classes is that of train. Raises UserError.
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
  return {split: table_of(arrays, split, classes) for split, arrays in splits.items()}


def describe(fields: Mapping[str, tuple]) -> str:
  """The names, dtypes and shapes of fields, for an error."""
  return ', '.join(f'{k} {dtype} {list(shape)}' for k, (shape, dtype) in sorted(fields.items()))


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
  if x.dtype in (np.uint8, np.uint16):
    return x
  if x.dtype.kind != 'f':
    raise UserError(
      f'{field} has the dtype {x.dtype}. Give uint8 for grey levels, or uint16 or '
      'floats for real numbers'
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
) -> Table:
  """The table of arrays from `read`."""
  found = digests(arrays)
  levels = LEVELS.get(arrays['video' if 'video' in arrays else 'image'].dtype.name, 0)
  rows = of_arrays(arrays, classes, f'{NAME} {split}')
  return rows._replace(levels=levels, content=lambda: found)


def table(split: str, given: Any, settings: Settings) -> Table:
  """A split of `given`, the result of `tables`, resized to a size and a number of channels. Raises
  UserError if `given` is None, because a run does not store its arrays."""
  if not isinstance(given, Mapping):
    raise UserError(
      'the data of this run are arrays that were given to vaejax.train and are not saved. Call '
      'vaejax.train again with data=... to continue the run, or use the run from vaejax.load'
    )
  if split not in given:
    raise UserError(f'the arrays have no split {split!r}. Choose one of {", ".join(given)}')
  size, channels, fit = settings.size, settings.channels, settings.fit
  rows = given[split]
  name = 'video' if 'video' in rows.row else 'image'
  shape = rows.row[name].shape[-3:]
  check_settings(size, channels, fit)
  if fitted_shape(shape, size, channels) == shape:
    return with_units(rows, given['train'].load()[name], settings)
  if rows.levels != 256 or name == 'video':
    raise UserError(
      f'the arrays are {name}s of {"x".join(map(str, shape))}, but only 8-bit images can be '
      'resized. Set data.size=0 and data.channels=0'
    )
  arrays = dict(rows.load())
  arrays['image'] = np.stack([fit_image(x, size, channels, fit) for x in arrays['image']])
  return table_of(arrays, split, rows.classes)


def with_units(rows: Table, train: np.ndarray, settings: Settings) -> Table:
  """A table of real numbers with the units that fit those of the training split; a table of 8 bits
  as it is. Raises UserError if `data.transform` does not fit them."""
  if rows.levels == 256:
    return rows
  try:
    fitted = units.fit(train, settings.transform, settings.low, settings.high)
  except ValueError as error:
    raise UserError(
      f'data.transform=log needs positive numbers, but {error}. Use data.transform=asinh'
    ) from None
  return rows._replace(units=fitted)
