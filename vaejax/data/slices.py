"""Slices and sums of splits, written as in TFDS: test[:10%], train[100:200], train+test."""

import re
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.data import fingerprint
from vaejax.data.table import Table
from vaejax.errors import UserError
from vaejax.plural import counted

LOAD_BYTES = 2**30  # of a split that a slice loads in one piece; of larger ones it fetches rows
BLOCK = 1024  # rows that are fetched at once
FORM = "Give for example 'test[:10%]', 'train[100:200]' or 'train+test'"
SLICE = re.compile(r'([\w.-]+)\[(-?[\d.]+%?)?:(-?[\d.]+%?)?\]')
NUMBER = re.compile(r'-?\d+|-?\d+(\.\d+)?%')


class Part(NamedTuple):
  """A slice of a split: its ends as text, such as '10%', '-5' and None."""

  split: str
  start: str | None = None
  stop: str | None = None


def is_compound(split: str) -> bool:
  """Whether this is a slice or a sum of splits, rather than the name of one."""
  return bool(re.search(r'[\[\]+:]', split))


def parse(text: str) -> tuple[Part, ...]:
  """The parts of a sum of slices and splits. Raises UserError."""
  parts = []
  for word in (word.strip() for word in text.split('+')):
    match = SLICE.fullmatch(word)
    ends = match.groups()[1:] if match else ()
    valid = all(end is None or NUMBER.fullmatch(end) for end in ends)
    if not (match and valid) and (not word or is_compound(word)):
      raise UserError(f'split={text!r}: {word!r} is neither a split nor a slice of one. {FORM}')
    parts.append(Part(*match.groups()) if match else Part(word))
  return tuple(parts)


def position(end: str | None, size: int, default: int) -> int:
  """An end of a slice as a row. Percents are rounded to the closest row, as in TFDS."""
  if end is None:
    return default
  row = round(float(end[:-1]) * size / 100) if end.endswith('%') else int(end)
  return row + size if row < 0 else row


def read(split: str, table: Callable[[str], Table]) -> Table:
  """The rows of a slice or a sum of splits.

  Args:
    split: see parse.
    table: the name of a split -> its table.

  Raises:
    UserError: the text is not a slice, or it has no rows.
  """
  tables = []
  for part in parse(split):
    rows = table(part.split)
    if (part.start, part.stop) != (None, None):
      rows = cut(rows, part, split)
    tables.append(rows)
  return tables[0] if len(tables) == 1 else concatenate(tables, split)


def cut(rows: Table, part: Part, split: str) -> Table:
  """The rows of one slice. `split` is the user's text, for errors."""
  start, stop = position(part.start, rows.size, 0), position(part.stop, rows.size, rows.size)
  if not 0 <= start < stop <= rows.size:
    raise UserError(
      f'split={split!r} is rows {start} to {stop} of {rows.origin}, which has '
      f'{counted(rows.size, "row")}. '
      'Choose a slice with at least one of them'
    )

  def load():
    if rows.size * fingerprint.row_bytes(rows.row) <= LOAD_BYTES:
      return {name: x[start:stop] for name, x in rows.load().items()}
    blocks = [
      rows.fetch(np.arange(i, min(i + BLOCK, stop), dtype=np.int64))
      for i in range(start, stop, BLOCK)
    ]
    return {name: np.concatenate([block[name] for block in blocks]) for name in rows.row}

  fetch = lambda index: rows.fetch(np.asarray(index) + start)
  return rows._replace(
    size=stop - start,
    load=load,
    fetch=fetch,
    render=rows.render and (lambda index: rows.render(jnp.asarray(index) + start)),
    origin=f'{rows.origin}[{part.start or ""}:{part.stop or ""}]',
    names=rows.names and (lambda: rows.names()[start:stop]),
    labels=rows.labels and (lambda: rows.labels()[start:stop]),
    groups=rows.groups and (lambda: rows.groups()[start:stop]),
    content=fingerprint.content(stop - start, rows.row, fetch),
  )


def concatenate(tables: list[Table], split: str) -> Table:
  """The rows of several tables of the same form, one after the other.

  Raises UserError if they have other shapes or classes, or if only some have labels.
  """
  first, *others = tables
  for other in others:
    form = lambda t: (dict(t.row), t.classes, t.class_names, dict(t.factors), t.levels, t.units)
    if form(first) != form(other):
      raise UserError(
        f'split={split!r}: {first.origin} and {other.origin} differ in the shapes of their rows or '
        'in their classes. Choose one of them'
      )
  ends = np.cumsum([t.size for t in tables])
  starts = ends - [t.size for t in tables]

  def load():
    loaded = [t.load() for t in tables]
    return {name: np.concatenate([x[name] for x in loaded]) for name in first.row}

  def fetch(index):
    index = np.asarray(index)
    out = {k: np.empty((len(index), *f.shape), f.dtype) for k, f in first.row.items()}
    owner = np.searchsorted(ends, index, side='right')
    for i in np.unique(owner):
      for name, x in tables[i].fetch(index[owner == i] - starts[i]).items():
        out[name][owner == i] = x
    return out

  def render(index):
    index = jnp.asarray(index)
    result = first.render(jnp.minimum(index, ends[0] - 1))
    for t, start in zip(others, starts[1:], strict=True):
      rows = t.render(jnp.clip(index - start, 0, t.size - 1))
      pick = lambda a, b, start=start: jnp.where(
        (index >= start).reshape(-1, *[1] * (a.ndim - 1)), b, a
      )
      result = jax.tree.map(pick, result, rows)
    return result

  has_names, has_labels = all(t.names for t in tables), all(t.labels for t in tables)
  size = int(ends[-1])
  return first._replace(
    size=size,
    load=load,
    fetch=fetch,
    render=render if all(t.render for t in tables) else None,
    origin=' + '.join(t.origin for t in tables),
    names=(lambda: [name for t in tables for name in t.names()]) if has_names else None,
    labels=(lambda: np.concatenate([t.labels() for t in tables])) if has_labels else None,
    groups=None,
    content=fingerprint.content(size, first.row, fetch),
    notes=tuple(dict.fromkeys(note for t in tables for note in t.notes)),
  )
