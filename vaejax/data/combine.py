"""Several sources as one: the batches of each, under names of their own; and a labelled few of a
split, for where most of its labels are not to be seen."""

import contextlib
from collections.abc import Mapping

import jax
import numpy as np

from vaejax.data.order import host_order
from vaejax.data.table import Table
from vaejax.errors import UserError
from vaejax.types import Source

LOOK = 1000  # rows, of which the labels are read at once


def part_key(key: jax.Array, number: int) -> jax.Array:
  """The key of the order and noise of a joined source: the first has the run's own."""
  # 0 and 1 of a run's key are its steps' and its data's.
  return jax.random.fold_in(key, 1 + number) if number else key


def join(sources: Mapping[str, Source]) -> Source:
  """One source of the batches of several, {prefix + field: rows}, each of its own number of rows
  and in its own order: row i of step s is at position s n + i of its own source.

  The first, whose prefix is '', is what the others are joined to: `example`, `size` and a pass in
  order are those of it alone. Where a source holds a fixed key, that is its `part_key` already.
  """
  first = sources['']

  def draw(buffer, key, step, part=(0, 1)):
    batch = {}
    for number, (prefix, source) in enumerate(sources.items()):
      found = source.draw(buffer[prefix], part_key(key, number), step, part)
      batch |= {prefix + name: rows for name, rows in found.items()}
    return batch

  def buffers(step, steps):
    with contextlib.ExitStack() as stack:
      streams = {
        prefix: stack.enter_context(contextlib.closing(source.buffers(step, steps)))
        for prefix, source in sources.items()
      }
      held, left = {}, dict.fromkeys(sources, 0)
      while step < steps:
        for prefix, stream in streams.items():
          if not left[prefix]:
            held[prefix], left[prefix] = next(stream)
        served = min(left.values())
        yield dict(held), served
        step += served
        left = {prefix: count - served for prefix, count in left.items()}

  resident = all(source.resident for source in sources.values())
  spread = {prefix: source.spread for prefix, source in sources.items()}
  apart = all(source.apart for source in sources.values())
  return first._replace(resident=resident, apart=apart, spread=spread, buffers=buffers, draw=draw)


def subset(rows: Table, index: np.ndarray) -> Table:
  """The rows at `index` [N] alone; a static draw of their pixels is that of their new places."""
  fetch = lambda places: rows.fetch(index[places])
  load = lambda: fetch(np.arange(len(index)))
  return rows._replace(size=len(index), load=load, fetch=fetch, render=None)


def balanced(rows: Table, count: int, key: jax.Array) -> Table:
  """`count` rows of a table, as many of every class, the first that come in an order by `key`:
  those of a smaller count are among those of a larger.

  Raises UserError for a table without classes, and a count that its classes do not share evenly or
  do not have.
  """
  if not rows.classes:
    raise UserError(f'data.labels={count}: {rows.origin} has no classes; take a dataset that has')
  share, rest = divmod(count, rows.classes)
  if rest or not share:
    raise UserError(
      f'data.labels={count}: every class has as many, so it takes a multiple of {rows.classes}, as '
      f'{max(share, 1) * rows.classes}'
    )
  words, found = np.asarray(jax.random.key_data(key)), [[] for _ in range(rows.classes)]
  for begin in range(0, rows.size, LOOK):
    index = host_order(words, np.arange(begin, min(begin + LOOK, rows.size)), rows.size)
    for i, label in zip(index, np.asarray(rows.fetch(index)['label']), strict=True):
      found[label].append(i)
    if min(map(len, found)) >= share:
      return subset(rows, np.sort(np.concatenate([each[:share] for each in found])))
  scarce = min(range(rows.classes), key=lambda label: len(found[label]))
  raise UserError(
    f'data.labels={count} wants {share} of each class: {rows.origin} has {len(found[scarce])} of '
    f'class {scarce}'
  )
