"""The raw rows of the splits of a config's `data`."""

from collections.abc import Mapping
from typing import NamedTuple

from vaejax import units
from vaejax.data import (
  arrays,
  domains,
  positive,
  readers,
  sets,
  settings,
  slices,
  split_names,
  stacked,
  subset,
)
from vaejax.data.device import degrade, transforms
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
    stack = Splits(*(t and stacked.table(t, s) for s, t in of_grey._asdict().items()))
    return stack._replace(train=training(data, stack.train))
  train, test = (read(data, split, data_dir) for split in ('train', 'test'))
  if data.get('validation'):
    train, validation = subset.hold_out(train, data.validation)
    return Splits(training(data, train), validation, test)
  has_validation = 'validation' in names(data, data_dir)
  validation = read(data, 'validation', data_dir) if has_validation else None
  return Splits(training(data, train), validation, test)


def training(data, rows: Table) -> Table:
  """The training rows; with `data.paired=False`, each with the source of another one."""
  return rows if data.get('paired', True) else domains.unpair(rows)


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
    rows = stacked.table(table(grey(data, base), split, data_dir), split)
    return training(data, rows) if split == 'train' else rows
  if data.get('validation') and split in ('train', 'validation'):
    rest, validation = subset.hold_out(read(data, 'train', data_dir), data.validation)
    return training(data, rest) if split == 'train' else validation
  if split == 'validation' and split not in (known := names(data, data_dir)):
    raise UserError(
      f'{data.name} has no split {split!r}. Choose {" or ".join(known)}, or set data.validation to '
      'hold rows out of train'
    )
  rows = read(data, split, data_dir)
  return training(data, rows) if split == 'train' else rows


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
  check_source(data)


def check_source(data) -> None:
  """Raises UserError for a `data.source` that is unknown or excludes another setting."""
  if not (source := settings.source(data)):
    if not data.get('paired', True):
      raise UserError(
        "data.paired=False needs data.source, which is ''. Set it, for example to domain:A>B"
      )
    return
  spec = degrade.parse(source)
  if settings.styles(data):
    raise UserError(
      f'data.source={source} and data.styles={data.styles} exclude each other. Use one of them'
    )
  if stacked.base(data.name) and (spec.kind == 'domain' or data.get('only')):
    raise UserError(
      f'data.source={source} needs files, but {data.name} has stacked images. Use a folder'
    )


def grey(data, name: str):
  """A copy of a config's `data` for another dataset, with one channel."""
  data = data.copy_and_resolve_references()
  data.update({'name': name, 'channels': 1, 'source': '', 'paired': True})
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
  if domain := data.get('only'):
    rows = domains.only(rows, domain)
  if source := settings.source(data):
    rows = with_source(data, rows, source, split, data_dir)
  if data.transform == 'log':
    rows = positive.checked(rows)
  if settings.styles(data) and transforms.data_field(rows.row) != 'image':
    raise UserError(
      f'data.styles={data.styles} needs images, but {data.name} has videos. Choose a dataset of '
      "images, or set data.styles=''"
    )
  return rows


def with_source(data, rows: Table, source: str, split: str, data_dir: Location) -> Table:
  """The rows of a split that `data.source` leaves. Raises UserError if it does not fit them."""
  if transforms.data_field(rows.row) != 'image':
    raise UserError(
      f'data.source={source} needs images, but {data.name} has videos. Choose a dataset of '
      "images, or set data.source=''"
    )
  spec = degrade.parse(source)
  if spec.kind != 'domain':
    return rows
  plain = data.copy_and_resolve_references()
  plain.update({'source': '', 'paired': True, 'only': ''})
  others = (name for name in names(data, data_dir) if name != split)
  return domains.pair(rows, spec.value, lambda: (read(plain, name, data_dir) for name in others))


def check_real_numbers(data, rows: Table) -> None:
  """Raises UserError for a setting that only applies to 8-bit images, if the data is real
  numbers."""
  for field, default in (('binarise', 'none'), ('scale', 'unit'), ('styles', ''), ('source', '')):
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
