"""From a config's `data` to the sources of its splits."""

import importlib
from collections.abc import Mapping

import jax

from vaejax.data import arrays, combine, source, stacked, transforms
from vaejax.data.styles import STYLES
from vaejax.data.table import EMBEDDED, VIDEOS, Table
from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.types import Example, Source

MODES = ('auto', 'resident', 'stream')


def table(data, split: str, data_dir: str | Mapping[str, Table] | None) -> Table:
  """The raw rows of a split. Raises UserError where there is no such set or split.

  data_dir: the folder of prepared sets; of data that is arrays, those (see arrays.tables).
  """
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
    if data.name in VIDEOS or data.get('frames'):
      raise UserError(
        f'data.styles={data.styles} is of images and {data.name} has videos: take a set of images'
      )
  if base := stacked.base(data.name):
    if split not in ('train', 'test'):
      raise UserError(f'{data.name} has no split {split!r}: there are train and test')
    grey = data.copy_and_resolve_references()
    grey.update({'name': base, 'channels': 1})
    return stacked.table(table(grey, split, data_dir), split)
  fitting = {'size': data.size or None, 'channels': data.channels or None, 'fit': data.fit}
  if data.name == arrays.NAME:
    rows = arrays.table(split, data_dir, **fitting)
    real_numbers(data, rows)
    return rows
  if data.name in EMBEDDED:
    if split not in ('train', 'test'):
      raise UserError(f'{data.name} has no split {split!r}: there are train and test')
    if data.name in VIDEOS:
      fitting['frames'] = data.get('frames')
    return importlib.import_module(f'vaejax.data.{data.name}').table(split, **fitting)
  from vaejax.data import tfds

  return tfds.table(data.name, split, data_dir, **fitting, frames=data.get('frames'))


def real_numbers(data, rows: Table) -> None:
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
  few = combine.balanced(rows, data.labels, source.data_key(combine.part_key(fixed, 2)))
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
  """The key that a run of this seed holds in its state (see engine.step.create)."""
  return jax.random.split(jax.random.key(seed))[1]


def describe(rows: Table, resident: bool) -> str:
  """One line: '60,000 images of 28x28x1, resident (45 MiB)'."""
  name = transforms.modelled(rows.row)
  shape = 'x'.join(map(str, rows.row[name].shape))
  held = (
    f'resident ({rows.size * source.row_bytes(rows) / 2**20:.0f} MiB)' if resident else 'streamed'
  )
  return f'{rows.size:,} {name}s of {shape}, {"rendered" if rows.render and resident else held}'
