"""The sources of the splits of a config's `data`."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import jax

from vaejax import units
from vaejax.data import (
  arrays,
  augment,
  classes,
  combine,
  labels,
  positive,
  readers,
  sets,
  settings,
  slices,
  source,
  split_names,
  stacked,
  subset,
  transforms,
)
from vaejax.data.styles import STYLES
from vaejax.data.table import Table
from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.plural import counted
from vaejax.types import Example, Source

MODES = ('auto', 'resident', 'stream')

# The folder of prepared datasets, or the tables of arrays in memory (see arrays.tables).
Location = str | Mapping[str, Table] | None


class Splits(NamedTuple):
  """The raw rows of all splits that a run reads. `validation` is None if there is no such split."""

  train: Table
  validation: Table | None
  test: Table


def splits(data, data_dir: Location) -> Splits:
  """The splits of a config's `data`.

  With `data.validation`, the validation rows are taken from train (see subset.hold_out), even if
  the dataset has a validation split. Otherwise they are that split, unless it replaces a missing
  test split. Raises UserError, see `table`.
  """
  check(data)
  if base := stacked.base(data.name):
    tables = splits(grey(data, base), data_dir)
    return Splits(*(t and stacked.table(t, s) for s, t in tables._asdict().items()))
  train, test = (read(data, split, data_dir) for split in ('train', 'test'))
  if data.get('validation'):
    return Splits(*subset.hold_out(train, data.validation), test)
  has_validation = 'validation' in available_splits(data, data_dir)
  return Splits(train, read(data, 'validation', data_dir) if has_validation else None, test)


def table(data, split: str, data_dir: Location) -> Table:
  """The raw rows of a split, or of a slice or sum of splits such as 'test[:10%]' (see slices.py).

  'train' and 'validation' are those of `splits`, and 'val' is 'validation'. Raises UserError if
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
  if split == 'validation' and split not in (known := available_splits(data, data_dir)):
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
  return split_names.complete(split, lambda: (*available_splits(stored, data_dir), *held_out))


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
  if data.get('pairs') and not styles(data):
    raise UserError(
      "data.pairs=True needs images in styles, but data.styles is ''. Set it, or data.pairs=False"
    )
  if styles(data):
    choice('data.styles', data.styles, STYLES)


def grey(data, name: str):
  """A copy of a config's `data` for another dataset, with one channel."""
  data = data.copy_and_resolve_references()
  data.update({'name': name, 'channels': 1})
  return data


def available_splits(data, data_dir: Location) -> tuple[str, ...]:
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
    if split not in (known := available_splits(data, data_dir)):
      raise UserError(f'{data.name} has no split {split!r}. Choose {" or ".join(known)}')
    rows = module.table(split, **of_data.for_drawing(module.table, data_dir))
  else:
    rows = readers.find(data.name, of_data).table(data.name, split, of_data, data_dir)
  if of_data.skip_damaged and not rows.names:
    line = f'data.skip_damaged has no effect on {data.name}: it is for files of pictures and videos'
    rows = rows._replace(notes=(*rows.notes, line))
  check_real_numbers(data, rows)
  if data.transform == 'log':
    rows = positive.checked(rows)
  if styles(data) and transforms.data_field(rows.row) != 'image':
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


def styles(data) -> str:
  """The kind of styles that images are drawn in, see data.styles; '' for none."""
  return data.get('styles') or ''


def style_settings(data) -> tuple[str, bool]:
  """The kind of styles, and whether rows come in pairs, see transforms.prepare."""
  return styles(data), bool(data.get('pairs'))


def augmentation(data) -> augment.Augment:
  """The random changes of training images in a config's `data.augment`."""
  return augment.Augment(**data.augment)


def train(data, rows: Table, n: int, seed: int, put=None) -> Source:
  """The training source, with batches of n rows in the order of `data.seed`, or of each run's key.

  With `data.labels`, a number of labelled rows, each batch also has `data.labelled_batch` of them
  as 'labelled_image' and so on. `data.seed`, or else `seed`, decides which rows are labelled; they
  are the same for all members of a sweep.
  """
  if not data.get('labels'):
    return single(data, rows, n, seed, put)
  fixed = run_key(seed if data.seed is None else data.seed)
  labelled = subset.balanced(rows, data.labels, source.data_key(combine.part_key(fixed, 2)))
  parts = {'': (rows, n), 'labelled_': (labelled, data.labelled_batch)}
  return combine.join(
    {prefix: single(data, *part, seed, put, i) for i, (prefix, part) in enumerate(parts.items())}
  )


def single(data, rows: Table, n: int, seed: int, put, number: int = 0) -> Source:
  """The training source of one table, which is source `number` of `combine.join`."""
  size = resident_bytes(rows)
  resident = data.mode == 'resident' or (data.mode == 'auto' and size <= data.budget_mb * 2**20)
  fixed = data.seed if data.seed is not None else (None if resident else seed)
  key = None if fixed is None else combine.part_key(run_key(fixed), number)
  changes, workers = augmentation(data), data.workers
  made = source.make(
    rows, n, data.binarise, data.scale, changes, resident, key, put, *style_settings(data), workers
  )
  return made._replace(example=example(data, rows))


def resident_bytes(rows: Table) -> int:
  """The device memory of a resident split, which is 0 for a procedural one."""
  return 0 if rows.render else rows.size * source.row_bytes(rows)


def binarisation(data) -> str:
  """How test splits are binarised: 'dynamic' becomes 'static', so that evaluation is repeatable."""
  return 'static' if data.binarise == 'dynamic' else data.binarise


def example(data, rows: Table) -> Example:
  """The Example of a table under a config's `data`. Raises UserError for settings that do not fit
  it."""
  changes = augmentation(data)
  shape = rows.row[transforms.data_field(rows.row)].shape
  augment.check(changes, shape, bool(rows.units), data.binarise)
  described = source.describe(rows, data.binarise, data.scale, changes, *style_settings(data))
  channels = described.fields[described.data].shape[-1]
  if wrong := [c for c in data.shown if c >= channels]:
    raise UserError(
      f'data.shown={wrong[0]} is not a channel: {rows.origin} has 0 to {channels - 1}'
    )
  return described._replace(shown=tuple(data.shown))


def test(data, rows: Table, put=None) -> Source:
  """A source for a pass in order, with the centre of a crop, fixed binarisation and styles, and
  nothing random."""
  resident = data.mode != 'stream' and resident_bytes(rows) <= data.budget_mb * 2**20
  kind, centre = binarisation(data), augment.evaluation(augmentation(data))
  made = source.make(rows, 1, kind, data.scale, centre, resident, None, put, *style_settings(data))
  return made._replace(example=example(data, rows))


def run_key(seed: int) -> jax.Array:
  """The key in the state of a run with this seed (see core.step.create)."""
  return jax.random.split(jax.random.key(seed))[1]


def count_labels(data, rows: Table) -> labels.Count | None:
  """How many rows of a split have a label; None if that is unknown, see `labels.read`."""
  budget = {'stream': 0, 'resident': math.inf}.get(data.mode, data.budget_mb * 2**20)
  return labels.count(rows, budget)


def describe(rows: Table, resident: bool, count: labels.Count | None = None) -> str:
  """One line such as '60,000 images of 28x28x1, resident (44.9 MiB), 10 classes', with the number
  of rows without a label if there are any in `count`."""
  name = transforms.data_field(rows.row)
  shape = 'x'.join(map(str, rows.row[name].shape))
  place = f'resident ({resident_bytes(rows) / 2**20:.1f} MiB)' if resident else 'streamed'
  place = 'rendered' if rows.render and resident else place
  line = f'{counted(rows.size, name)} of {shape}, {place}'
  if rows.classes:
    line += f', {classes.describe(rows.class_names, rows.classes)}'
  if rows.classes and count and count.unlabelled:
    line += f'; {counted(count.unlabelled, "row")} without a label'
  return line
