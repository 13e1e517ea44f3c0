"""From a config's `data` to the sources of its splits."""

import importlib
from typing import NamedTuple

import jax
import numpy as np

from vaejax.data import combine, source, stacked, transforms
from vaejax.data.styles import STYLES
from vaejax.data.table import EMBEDDED, VIDEOS, Table
from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.types import Example, Source

MODES = ('auto', 'resident', 'stream')


class Splits(NamedTuple):
  """The raw rows of all that a run reads; `validation` is None where nothing may be chosen."""

  train: Table
  validation: Table | None
  test: Table


def splits(data, data_dir: str | None) -> Splits:
  """The splits of a config's `data`; with `data.validation` so many rows are held out of train."""
  names = 'train', 'validation', 'test'
  return Splits(
    *(table(data, s, data_dir) if s != 'validation' or data.validation else None for s in names)
  )


def hold_out(rows: Table, validation: float, held: bool) -> Table:
  count = int(validation if validation >= 1 else validation * rows.size)
  first, size = (rows.size - count, count) if held else (0, rows.size - count)
  load = lambda: {k: v[first : first + size] for k, v in rows.load().items()}
  fetch = lambda index: rows.fetch(np.asarray(index) + first)
  return rows._replace(
    size=size, load=load, fetch=fetch, origin=f'{rows.origin} {first}:{first + size}'
  )


def table(data, split: str, data_dir: str | None) -> Table:
  """A split, of which rows are held out as the config says."""
  if data.get('validation') and split in ('train', 'validation'):
    return hold_out(read(data, 'train', data_dir), data.validation, split == 'validation')
  return read(data, split, data_dir)


def read(data, split: str, data_dir: str | None) -> Table:
  """The raw rows of a split. Raises UserError where there is no such set or split."""
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
    return stacked.table(read(grey, split, data_dir), split)
  fitting = {'size': data.size or None, 'channels': data.channels or None, 'fit': data.fit}
  if data.name in EMBEDDED:
    if split not in ('train', 'test'):
      raise UserError(f'{data.name} has no split {split!r}: there are train and test')
    if data.name in VIDEOS:
      fitting['frames'] = data.get('frames')
    return importlib.import_module(f'vaejax.data.{data.name}').table(split, **fitting)
  from vaejax.data import tfds

  return tfds.table(data.name, split, data_dir, **fitting, frames=data.get('frames'))


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
