"""A class whose rows are left out of training. It is chosen on the device, by an entry of `hyper`,
so that members of a sweep may leave out different ones."""

from collections.abc import Iterable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.data import classes, slices
from vaejax.errors import UserError
from vaejax.plural import counted

FIELD = 'left_out'  # the entry of `hyper`: the number of the class


def by_class(label: np.ndarray, number: int) -> dict[str, np.ndarray]:
  """The rows of a split sorted by their class, and where each of the `number` classes begins:
  {'rows': int32 [N], 'starts': int32 [number + 1]}. Labels are [N]."""
  rows = np.argsort(label, kind='stable').astype(np.int32)
  starts = np.searchsorted(label[rows], np.arange(number + 1)).astype(np.int32)
  return {'rows': rows, 'starts': starts}


def size(table: Mapping[str, jax.Array], left_out: jax.Array) -> jax.Array:
  """The number of rows without those of class `left_out`, int32 []."""
  begin, end = table['starts'][left_out], table['starts'][left_out + 1]
  return table['rows'].shape[0] - (end - begin)


def rows(table: Mapping[str, jax.Array], index: jax.Array, left_out: jax.Array) -> jax.Array:
  """The rows at `index` [n], 0 to size - 1, of the table without class `left_out`: int32 [n].

  So all members of a sweep share one table, whichever class each leaves out."""
  begin, end = table['starts'][left_out], table['starts'][left_out + 1]
  return table['rows'][jnp.where(index < begin, index, index + end - begin)]


def is_kept(label: jax.Array, left_out: jax.Array) -> jax.Array:
  """Whether each label [N] is of another class, or missing: bool [N]."""
  return label != left_out.astype(label.dtype)


def streams(split: str) -> tuple[str, ...]:
  """The streams of a pass over a split (see eval_type.Eval) that leave the class out: those with
  rows that a run is trained on or chosen by. The test split keeps all classes."""
  of_training = all(part.split in ('train', 'validation') for part in slices.parse(split))
  return ('train', 'test') if of_training else ('train',)


def check(values: Iterable[float], label: np.ndarray, number: int, origin: str) -> None:
  """Raises UserError if a value of hyper.left_out is not a class or would leave no row, and if rows
  have no label, because they may be of that class."""
  if missing := int(np.sum(label < 0)):
    raise UserError(
      f'hyper.{FIELD} needs the label of every row, but {counted(missing, "row")} of {origin} '
      'have none. Label them'
    )
  for value in values:
    if value != int(value) or not 0 <= value < number:
      raise UserError(
        f'hyper.{FIELD}={value:g} is not a class of {origin}. Choose 0 to {number - 1}'
      )
    if (label == int(value)).all():
      raise UserError(f'hyper.{FIELD}={value:g} leaves no row of {origin} to train on')


def in_words(values: Iterable[float], class_names: tuple[str, ...]) -> str:
  """The left-out classes as text: 'without class 3', or 'each member without one of 10 classes'."""
  values = sorted({int(value) for value in values})
  if len(values) > 1:
    return f'each member without one of {len(values)} classes'
  return f'without class {classes.name_of(values[0], class_names)}'
