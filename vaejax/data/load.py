"""From a config's `data` to the sources of its splits."""

from collections.abc import Mapping
from typing import NamedTuple

import jax

from vaejax.data import arrays, combine, sets, source, stacked, subset, transforms
from vaejax.data.styles import STYLES
from vaejax.data.table import Table
from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.types import Example, Source

MODES = ('auto', 'resident', 'stream')

# The folder of prepared sets, or, of data that is arrays, those (see arrays.tables).
Where = str | Mapping[str, Table] | None


class Splits(NamedTuple):
  """The raw rows of all that a run reads; `validation` is None where nothing may be chosen."""

  train: Table
  validation: Table | None
  test: Table


def splits(data, data_dir: Where) -> Splits:
  """The splits of a config's `data`. With `data.validation` so many rows are held out of train, see
  subset.hold_out, whether the set has a validation split or not; else it is the set's own, where it
  has one that does not stand for a missing test. Raises UserError as `table` does."""
  check(data)
  if base := stacked.base(data.name):
    of_base = splits(grey(data, base), data_dir)
    return Splits(*(t and stacked.table(t, s) for s, t in of_base._asdict().items()))
  train, test = (read(data, split, data_dir) for split in ('train', 'test'))
  if data.get('validation'):
    return Splits(*subset.hold_out(train, data.validation), test)
  own = 'validation' in available_splits(data, data_dir)
  return Splits(train, read(data, 'validation', data_dir) if own else None, test)


def table(data, split: str, data_dir: Where) -> Table:
  """The raw rows of a split: of 'train' and 'validation' as `splits` gives them.

  Raises UserError where there is no such set or split.
  """
  check(data)
  if base := stacked.base(data.name):
    if split not in Splits._fields:
      raise UserError(f'{data.name} has no split {split!r}: there are train and test')
    return stacked.table(table(grey(data, base), split, data_dir), split)
  if data.get('validation') and split in ('train', 'validation'):
    rest, held = subset.hold_out(read(data, 'train', data_dir), data.validation)
    return rest if split == 'train' else held
  if split == 'validation' and split not in (known := available_splits(data, data_dir)):
    raise UserError(
      f'{data.name} has no split {split!r}: there are {" and ".join(known)}; data.validation holds '
      'rows out of train'
    )
  return read(data, split, data_dir)


def check(data) -> None:
  """Raises UserError for a field of a config's `data` that has no such value."""
  if not data.name:
    raise UserError("data.name is '': give the name of a data set, or its directory")
  for field, choices in (
    ('binarise', transforms.BINARISE),
    ('scale', transforms.SCALES),
    ('mode', MODES),
    ('fit', ('resize', 'pad')),
  ):
    choice(f'data.{field}', data[field], {c: c for c in choices})
  if data.get('pairs') and not styles(data):
    raise UserError("data.pairs=True wants data.styles, which is '': set it, or data.pairs=False")
  if styles(data):
    choice('data.styles', data.styles, STYLES)


def grey(data, name: str):
  """The same data of another set, in one channel."""
  data = data.copy_and_resolve_references()
  data.update({'name': name, 'channels': 1})
  return data


def available_splits(data, data_dir: Where) -> tuple[str, ...]:
  """The splits that a set has."""
  if data.name == arrays.NAME:
    return tuple(data_dir) if isinstance(data_dir, Mapping) else ()
  if module := sets.maker(data.name):
    return getattr(module, 'SPLITS', ('train', 'test'))
  from vaejax.data import tfds

  return tfds.splits(data.name, data_dir)


def read(data, split: str, data_dir: Where) -> Table:
  """The raw rows of a split as the set has it. Raises UserError where it has none."""
  given = {'size': data.size or None, 'channels': data.channels or None, 'fit': data.fit}
  if data.name == arrays.NAME:
    rows = arrays.table(split, data_dir, **given)
    check_real_numbers(data, rows)
    return rows
  given['frames'] = data.get('frames')
  if module := sets.maker(data.name):
    if split not in (known := available_splits(data, data_dir)):
      raise UserError(f'{data.name} has no split {split!r}: there are {" and ".join(known)}')
    rows = module.table(split, **given)
  else:
    from vaejax.data import tfds

    rows = tfds.table(data.name, split, data_dir, **given)
  if styles(data) and transforms.modelled(rows.row) != 'image':
    raise UserError(
      f'data.styles={data.styles} is of images and {data.name} has videos: take a set of images'
    )
  return rows


def check_real_numbers(data, rows: Table) -> None:
  """Raises UserError where data asks for what only 8-bit images can be."""
  for field, plain in (('binarise', 'none'), ('scale', 'unit'), ('styles', '')):
    if rows.limits and data.get(field, plain) != plain:
      raise UserError(
        f'data.{field}={data[field]} is of 8-bit images, and these are real numbers in their own '
        f'units: set data.{field}={plain!r}, or give uint8'
      )


def styles(data) -> str:
  """The kind of styles that the images of such data are in, see data.styles; '' for none."""
  return data.get('styles') or ''


def styling(data) -> tuple[str, bool]:
  """Those styles, and whether rows come in pairs, see transforms.prepare."""
  return styles(data), bool(data.get('pairs'))


def train(data, rows: Table, n: int, seed: int, put=None) -> Source:
  """The training source: batches of n, in the order of `data.seed`, or else of each run's key.

  With `data.labels`, `data.labelled_batch` rows of that many are joined to each, as 'labelled_...'.
  Which ones those are is drawn by `data.seed`, or else by `seed`: one choice for all of a sweep.
  """
  if not data.get('labels'):
    return single(data, rows, n, seed, put)
  fixed = run_key(seed if data.seed is None else data.seed)
  few = subset.balanced(rows, data.labels, source.data_key(combine.part_key(fixed, 2)))
  parts = {'': (rows, n), 'labelled_': (few, data.labelled_batch)}
  return combine.join(
    {prefix: single(data, *part, seed, put, i) for i, (prefix, part) in enumerate(parts.items())}
  )


def single(data, rows: Table, n: int, seed: int, put, number: int = 0) -> Source:
  """The training source of one table, the one of that number among those that are joined."""
  size = source.row_bytes(rows) * (0 if rows.render else rows.size)
  resident = data.mode == 'resident' or (data.mode == 'auto' and size <= data.budget_mb * 2**20)
  fixed = data.seed if data.seed is not None else (None if resident else seed)
  key = None if fixed is None else combine.part_key(run_key(fixed), number)
  return source.make(
    rows, n, data.binarise, data.scale, data.flip, resident, key, put, *styling(data)
  )


def binarisation(data) -> str:
  """How the test split of such data is binarised: never by a fresh draw."""
  return 'static' if data.binarise == 'dynamic' else data.binarise


def example(data, rows: Table) -> Example:
  """What a method must know of such data."""
  return source.describe(rows, data.binarise, data.scale, *styling(data))


def test(data, rows: Table, put=None) -> Source:
  """A source for one ordered pass: never flipped, binarised and styled once for all."""
  size = source.row_bytes(rows) * (0 if rows.render else rows.size)
  resident = data.mode != 'stream' and size <= data.budget_mb * 2**20
  kind = binarisation(data)
  return source.make(rows, 1, kind, data.scale, False, resident, None, put, *styling(data))


def run_key(seed: int) -> jax.Array:
  """The key that a run of this seed holds in its state (see core.step.create)."""
  return jax.random.split(jax.random.key(seed))[1]


def describe(rows: Table, resident: bool) -> str:
  """One line: '60,000 images of 28x28x1, resident (45 MiB)'."""
  name = transforms.modelled(rows.row)
  shape = 'x'.join(map(str, rows.row[name].shape))
  held = (
    f'resident ({rows.size * source.row_bytes(rows) / 2**20:.0f} MiB)' if resident else 'streamed'
  )
  return f'{rows.size:,} {name}s of {shape}, {"rendered" if rows.render and resident else held}'
