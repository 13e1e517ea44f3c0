"""The raw rows of the splits of a config's `data`."""

from collections.abc import Mapping
from typing import NamedTuple

from vaejax import units
from vaejax.data import (
  arrays,
  positive,
  readers,
  sets,
  settings,
  slices,
  split_names,
  stacked,
  subset,
)
from vaejax.data.device import transforms
from vaejax.data.device.styles import STYLES
from vaejax.data.settings import NO_LABEL
from vaejax.data.table import Table, without_labels
from vaejax.errors import UserError
from vaejax.lookup import choice

MODES = ('auto', 'resident', 'stream')

# The folder of prepared datasets, or the tables of arrays in memory (see arrays.tables).
Location = str | Mapping[str, Table] | None


class Splits(NamedTuple):
  """The raw rows of all splits that a run reads. `validation` is None if there is no such split."""

  train: Table
  validation: Table | None
  test: Table


def tables(data, data_dir: Location) -> Splits:
  """The splits of a config's `data`.

  With `data.validation`, the validation rows are taken from train (see subset.hold_out), even if
  the dataset has a validation split. Otherwise they are that split, unless it replaces a missing
  test split. Raises UserError, see `table`.
  """
  check(data)
  if base := stacked.base(data.name):
    of_grey = tables(grey(data, base), data_dir)
    return Splits(*(t and stacked.table(t, s) for s, t in of_grey._asdict().items()))
  train, test = (read(data, split, data_dir) for split in ('train', 'test'))
  if data.get('validation'):
    return Splits(*subset.hold_out(train, data.validation), test)
  has_validation = 'validation' in names(data, data_dir)
  return Splits(train, read(data, 'validation', data_dir) if has_validation else None, test)


def table(data, split: str, data_dir: Location) -> Table:
  """The raw rows of a split, or of a slice or sum of splits such as 'test[:10%]' (see slices.py).

  'train' and 'validation' are those of `tables`, and 'val' is 'validation'. Raises UserError if
  there is no such dataset or split.
  """
  check(data)
  split = split_name(data, split, data_dir)
  if slices.is_compound(split):
    return slices.read(split, lambda name: table(data, name, data_dir))
  if base := stacked.base(data.name):
    if split not in Splits._fields:
      raise UserError(f'{data.name} has no split {split!r}. Choose train or test')
    return stacked.table(table(grey(data, base), split, data_dir), split)
  if data.get('validation') and split in ('train', 'validation'):
    rest, validation = subset.hold_out(read(data, 'train', data_dir), data.validation)
    return rest if split == 'train' else validation
  if split == 'validation' and split not in (known := names(data, data_dir)):
    raise UserError(
      f'{data.name} has no split {split!r}. Choose {" or ".join(known)}, or set data.validation to '
      'hold rows out of train'
    )
  return read(data, split, data_dir)


def split_name(data, split: str, data_dir: Location) -> str:
  """A split, slice or sum of splits with 'validation' for 'val' and 'valid', see split_names."""
  base = stacked.base(data.name)
  held_out = ('validation',) if data.get('validation') else ()
  stored = grey(data, base) if base else data
  return split_names.complete(split, lambda: (*names(stored, data_dir), *held_out))


def check(data) -> None:
  """Raises UserError for an unknown or missing value in a config's `data`."""
  if not data.name:
    raise UserError("data.name is ''. Give the name of a dataset, or its directory")
  for field, choices in (
    ('binarise', transforms.BINARISE),
    ('scale', transforms.SCALES),
    ('mode', MODES),
    ('fit', ('resize', 'pad', 'crop')),
    ('transform', units.TRANSFORMS),
  ):
    choice(f'data.{field}', data[field], {c: c for c in choices})
  if data.get('pairs') and not settings.styles(data):
    raise UserError(
      "data.pairs=True needs images in styles, but data.styles is ''. Set it, or data.pairs=False"
    )
  if settings.styles(data):
    choice('data.styles', data.styles, STYLES)


def grey(data, name: str):
  """A copy of a config's `data` for another dataset, with one channel."""
  data = data.copy_and_resolve_references()
  data.update({'name': name, 'channels': 1})
  return data


def names(data, data_dir: Location) -> tuple[str, ...]:
  """The splits of a dataset."""
  if data.name == arrays.NAME:
    return tuple(data_dir) if isinstance(data_dir, Mapping) else ()
  if module := sets.reader(data.name):
    return getattr(module, 'SPLITS', ('train', 'test'))
  of_data = settings.of_config(data)
  return readers.find(data.name, of_data).splits(data.name, of_data, data_dir)


def read(data, split: str, data_dir: Location) -> Table:
  """The raw rows of a split of the dataset. Raises UserError if it has no such split."""
  of_data = settings.of_config(data)
  if data.name == arrays.NAME:
    rows = arrays.table(split, data_dir, of_data)
  elif module := sets.reader(data.name):
    if split not in (known := names(data, data_dir)):
      raise UserError(f'{data.name} has no split {split!r}. Choose {" or ".join(known)}')
    rows = module.table(split, **of_data.for_drawing(module.table, data_dir))
    if of_data.label == NO_LABEL:
      rows = without_labels(rows)
  else:
    rows = readers.find(data.name, of_data).table(data.name, split, of_data, data_dir)
  if of_data.skip_damaged and not rows.names:
    line = f'data.skip_damaged has no effect on {data.name}: it is for files of pictures and videos'
    rows = rows._replace(notes=(*rows.notes, line))
  check_real_numbers(data, rows)
  if data.transform == 'log':
    rows = positive.checked(rows)
  if settings.styles(data) and transforms.data_field(rows.row) != 'image':
    raise UserError(
      f'data.styles={data.styles} needs images, but {data.name} has videos. Choose a dataset of '
      "images, or set data.styles=''"
    )
  return rows


def check_real_numbers(data, rows: Table) -> None:
  """Raises UserError for a setting that only applies to 8-bit images, if the data is real
  numbers."""
  for field, default in (('binarise', 'none'), ('scale', 'unit'), ('styles', '')):
    if rows.units and data.get(field, default) != default:
      raise UserError(
        f'data.{field}={data[field]} needs 8-bit images, but the data is real numbers. Set '
        f'data.{field}={default!r}, or give uint8'
      )
  for end in ('low', 'high'):
    if data.get(end) is not None and not rows.units:
      raise UserError(
        f'data.{end}={data[end]:g} needs 16-bit images or floats, but {rows.origin} has 8 bits. '
        'Leave it out'
      )
  if data.transform != 'none' and not rows.units:
    raise UserError(
      f'data.transform={data.transform} needs 16-bit images or floats, but {rows.origin} has 8 '
      'bits. Set data.transform=none'
    )
