"""Subsets of a table: rows held out for validation, the remaining rows, and a balanced labelled
subset."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.data import classes
from vaejax.data.name_hash import fractions
from vaejax.data.order import host_order
from vaejax.data.table import Table
from vaejax.errors import UserError
from vaejax.plural import counted

LABEL_ROWS = 1000  # rows whose labels are read at once

# The key of the order in which rows are held out: the same for every run, member and machine.
HOLD_OUT_KEY = np.asarray([20260701, 1], np.uint32)


def subset(rows: Table, index: np.ndarray) -> Table:
  """The table of the rows at `index` [N]."""
  fetch = lambda positions: rows.fetch(index[positions])
  load = lambda: fetch(np.arange(len(index)))
  render = rows.render and (lambda positions: rows.render(jnp.asarray(index)[positions]))

  def names():
    every = rows.names()
    return [every[i] for i in index]

  return rows._replace(
    size=len(index),
    load=load,
    fetch=fetch,
    render=render,
    names=rows.names and names,
    labels=rows.labels and (lambda: rows.labels()[index]),
    groups=rows.groups and (lambda: rows.groups()[index]),
  )


def without(rows: Table, index: np.ndarray) -> Table:
  """The table of all rows except those at the sorted `index` [N]."""
  # Row i of the result is row i + k, where k is the number of removed rows before it.
  before = index - np.arange(len(index), dtype=index.dtype)
  size = rows.size - len(index)

  def original(positions, xp=np):
    return positions + xp.searchsorted(xp.asarray(before), positions, side='right')

  def load():
    return {name: np.delete(array, index, axis=0) for name, array in rows.load().items()}

  fetch = lambda positions: rows.fetch(original(np.asarray(positions)))
  render = rows.render and (lambda positions: rows.render(original(positions, jnp)))
  return rows._replace(
    size=size,
    load=load,
    fetch=fetch,
    render=render,
    names=rows.names and (lambda: np.delete(rows.names(), index).tolist()),
    labels=rows.labels and (lambda: np.delete(rows.labels(), index)),
    groups=rows.groups and (lambda: np.delete(rows.groups(), index)),
  )


def hold_out(rows: Table, validation: float) -> tuple[Table, Table]:
  """The remaining rows of a split, and the rows that are held out for validation.

  The rows held out are the first in a fixed order. Rows of files are ordered by a hash of their
  names, so that new files change few of the rows held out. If the split has classes, equally many
  rows of each class that occurs are held out, and at least one row of each remains. Rows with a
  negative label, which is unknown, belong to no class; those among the first are held out. Counts
  are rounded. Groups of rows, such as the windows of a video, are held out completely.

  Args:
    rows: the split.
    validation: the number of rows to hold out, or below 1 their proportion.

  Raises:
    UserError: the number does not fit, or a class has too few rows.
  """
  setting = f'data.validation={validation:g}'
  count = validation if validation >= 1 else round(validation * rows.size)
  if not 0 < count < rows.size or count != int(count):
    raise UserError(
      f'{setting} holds out {count:g} {"row" if count == 1 else "rows"} of {rows.origin}, which '
      f'has {rows.size}. Give a proportion below 1, or a whole number of rows below {rows.size}'
    )
  count, note = int(count), ''
  if rows.classes:
    index, per_class = balanced_hold_out(rows, count, setting)
    note = f', {per_class} of each class'
  else:
    index = hold_out_order(rows)(np.arange(count))
  index = complete_groups(rows, index, setting) if rows.groups else np.sort(index)
  rest = without(rows, index)._replace(
    origin=f'{rows.origin} without {counted(len(index), "row")}{note}'
  )
  held_out = subset(rows, index)._replace(
    origin=f'{rows.origin}, {counted(len(index), "row")}{note}'
  )
  return rest, held_out


def hold_out_order(rows: Table) -> Callable[[np.ndarray], np.ndarray]:
  """The function from positions [n] in the order of `hold_out` to indices [n] of rows."""
  if not (rows.names or rows.groups):
    return lambda positions: host_order(HOLD_OUT_KEY, positions, rows.size)
  if rows.names:
    order = np.argsort(fractions(rows.names(), salt='validation'), kind='stable')
  else:
    order = host_order(HOLD_OUT_KEY, np.arange(rows.size), rows.size)
  if rows.groups:
    # All rows of a group follow its first row.
    _, first, number = np.unique(rows.groups()[order], return_index=True, return_inverse=True)
    order = order[np.argsort(first[number], kind='stable')]
  return lambda positions: order[positions]


def complete_groups(rows: Table, index: np.ndarray, setting: str) -> np.ndarray:
  """The sorted indices of all rows of the groups that have a row at `index`. Raises UserError if
  no row remains, or none of a class."""
  groups = rows.groups()
  is_held_out, what = np.isin(groups, groups[index]), ''
  if is_held_out.sum() == len(index):
    return np.sort(index)
  if rows.classes:
    label = np.concatenate([x for _, x in labels(rows, lambda positions: positions)])
    gone = np.setdiff1d(label[is_held_out], label[~is_held_out])
    gone = gone[gone >= 0]
    what = f' of class {classes.name_of(gone[0], rows.class_names)}' if len(gone) else ''
  if what or is_held_out.all():
    raise UserError(
      f'{setting} would leave no rows{what} of {rows.origin} to train on, because parts of one '
      'thing, such as windows of a video, are held out together. Give a smaller data.validation'
    )
  return np.flatnonzero(is_held_out)


def balanced_hold_out(rows: Table, count: int, setting: str) -> tuple[np.ndarray, int]:
  """The indices of about `count` rows to hold out, and how many of them are of each class. Raises
  UserError if there are fewer rows than classes, or if a class has too few."""
  if count < rows.classes:
    raise UserError(
      f'{setting} is less than one row for each of the {rows.classes} classes of {rows.origin}. '
      f'Give at least {rows.classes} rows'
    )
  by_class, unlabelled, read = [[] for _ in range(rows.classes)], [], 0
  split_evenly = lambda parts: max(round((count - len(unlabelled)) / parts), 1)
  for index, label in labels(rows, hold_out_order(rows)):
    first = max(count - read, 0)
    unlabelled += index[:first][label[:first] < 0].tolist()
    read += len(index)
    append_by_class(by_class, index, label)
    if read >= count and min(map(len, by_class)) > split_evenly(rows.classes):
      break
  by_class = {label: indices for label, indices in enumerate(by_class) if indices}
  if len(unlabelled) == count or not by_class:
    return np.asarray(unlabelled, np.int32), 0
  per_class = split_evenly(len(by_class))
  rarest = min(by_class, key=lambda label: len(by_class[label]))
  if (available := len(by_class[rarest]) - 1) < per_class:
    fits = count * available * len(by_class) // (count - len(unlabelled))
    hint = (
      f'{counted(fits, "row")} would fit' if fits else 'add rows of it, or set data.validation=0'
    )
    raise UserError(
      f'{setting} holds out {counted(per_class, "row")} of each class, but {rows.origin} '
      f'has {available + 1} of class {classes.name_of(rarest, rows.class_names)}, of which one '
      f'must remain: {hint}'
    )
  chosen = [*unlabelled, *(i for indices in by_class.values() for i in indices[:per_class])]
  return np.asarray(chosen, np.int32), per_class


def balanced(rows: Table, count: int, key: jax.Array) -> Table:
  """A subset of `count` rows with equally many of each class: the first ones in the order of `key`.

  A smaller count gives a subset of a larger one. Rows with a negative label belong to no class.
  Raises UserError for a table without classes, and for a count that is not a multiple of the number
  of classes or exceeds the rows of one.
  """
  if not rows.classes:
    raise UserError(
      f'data.labels={count} needs classes, but {rows.origin} has no classes. Choose another dataset'
    )
  per_class, rest = divmod(count, rows.classes)
  if rest or not per_class:
    raise UserError(
      f'data.labels={count} cannot be divided evenly among {rows.classes} classes. Give a '
      f'multiple of {rows.classes}, for example {max(per_class, 1) * rows.classes}'
    )
  by_class = [[] for _ in range(rows.classes)]
  words = np.asarray(jax.random.key_data(key))
  for index, label in labels(rows, lambda positions: host_order(words, positions, rows.size)):
    append_by_class(by_class, index, label)
    if min(map(len, by_class)) >= per_class:
      return subset(rows, np.sort(np.concatenate([i[:per_class] for i in by_class])))
  rarest = min(range(rows.classes), key=lambda label: len(by_class[label]))
  available = len(by_class[rarest])
  hint = f'Give at most {available * rows.classes}' if available else 'Label one of them'
  raise UserError(
    f'data.labels={count} needs {per_class} of each class, but {rows.origin} has '
    f'{available} of class {classes.name_of(rarest, rows.class_names)}. {hint}'
  )


def append_by_class(by_class: list[list[int]], index: np.ndarray, label: np.ndarray) -> None:
  """Appends each index to the list of its label. Negative labels are skipped."""
  for i, number in zip(index, label, strict=True):
    if number >= 0:
      by_class[number].append(i)


def labels(rows: Table, order: Callable) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """The indices [n] and labels [n] of all rows in an order (positions -> indices), in blocks."""
  if rows.labels:
    label = rows.labels()
    read = lambda index: label[index]
  elif rows.render:
    read = jax.jit(lambda index: rows.render(index)['label'])  # without the images
  else:
    read = lambda index: rows.fetch(index)['label']
  for begin in range(0, rows.size, LABEL_ROWS):
    index = order(np.arange(begin, min(begin + LABEL_ROWS, rows.size)))
    yield index, np.asarray(read(index))
