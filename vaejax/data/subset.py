"""Parts of a table: rows that are held out of it, what is left then, and a labelled few."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.data.order import host_order
from vaejax.data.table import Table
from vaejax.errors import UserError

LOOK = 1000  # rows, of which the labels are read at once

# Of the order by which rows are held out: the same for every run, member and machine.
HELD_OUT = np.asarray([20260701, 1], np.uint32)


def subset(rows: Table, index: np.ndarray) -> Table:
  """The rows at `index` [N] alone; a static draw of their pixels is that of their new places."""
  fetch = lambda places: rows.fetch(index[places])
  load = lambda: fetch(np.arange(len(index)))
  render = rows.render and (lambda places: rows.render(jnp.asarray(index)[places]))
  return rows._replace(size=len(index), load=load, fetch=fetch, render=render)


def without(rows: Table, index: np.ndarray) -> Table:
  """All rows but those at `index` [N], which is sorted."""
  # Row i of what is left is row i + k, where k rows that are left out come before it.
  before = index - np.arange(len(index), dtype=index.dtype)
  size = rows.size - len(index)

  def at(places, xp=np):
    return places + xp.searchsorted(xp.asarray(before), places, side='right')

  def load():
    return {name: np.delete(array, index, axis=0) for name, array in rows.load().items()}

  render = rows.render and (lambda places: rows.render(at(places, jnp)))
  return rows._replace(
    size=size, load=load, fetch=lambda places: rows.fetch(at(np.asarray(places))), render=render
  )


def hold_out(rows: Table, validation: float) -> tuple[Table, Table]:
  """What is left of a split, and the rows that are held out of it for validation.

  They are the first in an order by a fixed key; of a split with classes as many of each class that
  occurs, one of which at least is left. Rows whose label is negative, which is unknown, are of no
  class: of them those among the first are held out. Where a number does not divide it is rounded.

  Args:
    rows: the split.
    validation: how many rows are held out, or, below 1, which share of them.

  Raises:
    UserError: it is no such number, or a class has too few rows, with what would fit.
  """
  given = f'data.validation={validation:g}'
  count = validation if validation >= 1 else round(validation * rows.size)
  if not 0 < count < rows.size or count != int(count):
    raise UserError(
      f'{given} holds out {count:g} rows of {rows.origin}, which has {rows.size}: it takes a share '
      f'below 1, or a whole number of rows below {rows.size}'
    )
  count, about = int(count), ''
  if rows.classes:
    index, share = even(rows, count, given)
    about = f', {share} of each class'
  else:
    index = host_order(HELD_OUT, np.arange(count), rows.size)
  index = np.sort(index)
  rest = without(rows, index)._replace(origin=f'{rows.origin} without {len(index)} rows{about}')
  held = subset(rows, index)._replace(origin=f'{rows.origin}, {len(index)} rows{about}')
  return rest, held


def even(rows: Table, count: int, given: str) -> tuple[np.ndarray, int]:
  """The places of about `count` rows, as many of every class, and how many of each that is."""
  if count < rows.classes:
    raise UserError(
      f'{given} is less than a row of each of the {rows.classes} classes of {rows.origin}: it '
      f'takes {rows.classes} rows or more'
    )
  found, unknown, seen = [[] for _ in range(rows.classes)], [], 0
  share_of = lambda classes: max(round((count - len(unknown)) / classes), 1)
  for index, label in labels(rows, HELD_OUT):
    unknown += index[: max(count - seen, 0)][label[: max(count - seen, 0)] < 0].tolist()
    seen += len(index)
    for i, one in zip(index, label, strict=True):
      if one >= 0:
        found[one].append(i)
    if seen >= count and min(map(len, found)) > share_of(rows.classes):
      break
  found = {label: places for label, places in enumerate(found) if places}
  if len(unknown) == count or not found:
    return np.asarray(unknown, np.int32), 0
  share, scarce = share_of(len(found)), min(found, key=lambda label: len(found[label]))
  if (most := len(found[scarce]) - 1) < share:
    fits = count * most * len(found) // (count - len(unknown)) or 'no'
    raise UserError(
      f'{given} holds out {share} rows of each class, and {rows.origin} has {most + 1} of class '
      f'{scarce}, of which one is left: {fits} rows would fit'
    )
  chosen = [*unknown, *(i for places in found.values() for i in places[:share])]
  return np.asarray(chosen, np.int32), share


def balanced(rows: Table, count: int, key: jax.Array) -> Table:
  """`count` rows of a table, as many of every class, the first that come in an order by `key`:
  those of a smaller count are among those of a larger. A negative label is that of no class.

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
  found = [[] for _ in range(rows.classes)]
  for index, label in labels(rows, np.asarray(jax.random.key_data(key))):
    for i, one in zip(index, label, strict=True):
      if one >= 0:
        found[one].append(i)
    if min(map(len, found)) >= share:
      return subset(rows, np.sort(np.concatenate([each[:share] for each in found])))
  scarce = min(range(rows.classes), key=lambda label: len(found[label]))
  raise UserError(
    f'data.labels={count} wants {share} of each class: {rows.origin} has {len(found[scarce])} of '
    f'class {scarce}'
  )


def labels(rows: Table, words: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """Runs of rows in the order by a key's words: their places [n] and their labels [n]."""
  if rows.render:  # the labels alone
    read = jax.jit(lambda index: rows.render(index)['label'])
  else:
    read = lambda index: rows.fetch(index)['label']
  for begin in range(0, rows.size, LOOK):
    index = host_order(words, np.arange(begin, min(begin + LOOK, rows.size)), rows.size)
    yield index, np.asarray(read(index))
