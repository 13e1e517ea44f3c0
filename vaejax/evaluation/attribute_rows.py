"""Training rows by the value of an attribute: a factor or the label."""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from vaejax.data.variants import untoned
from vaejax.runs import trained


class Rows(NamedTuple):
  """Rows of a split without their images.

  Attributes:
    z: the means of q(z|x), [N, ...].
    values: of the attribute, int [N]; a negative one is missing.
    keys: what else is known of each row; None: nothing.
    groups: the rows of a number are variants of one thing, [N].
  """

  z: Any
  values: np.ndarray
  keys: Sequence[Hashable] | None
  groups: np.ndarray


def values_of(fields: Mapping[str, np.ndarray], column: int | None) -> np.ndarray:
  """The values of a factor, the `column` of 'factors', or for None the labels, [N]."""
  return fields['label'] if column is None else fields['factors'][:, column]


def available(model, n: int) -> int:
  """The number of rows that a request for n training rows has, as far as it is known."""
  return min(n, model.data.get('train', {}).get('rows', n))


def read(model, train, column: int | None, n: int, progress: Callable[[int, int], None]) -> Rows:
  """The first n training rows; `train` is that of task_type.Pictures."""
  latents, fields, done, total = [], [], 0, available(model, n)
  for rows in train(n):
    latents.append(model.encode(rows[model.example.data], **model.conditions(rows)))
    count = len(rows[model.example.data])
    none = {'label': np.zeros(count, np.int32)}  # of data without labels: all rows are the rest
    fields.append(none | {name: rows[name] for name in ('label', 'factors') if name in rows})
    done += count
    progress(done, total)
  z = jax.tree.map(lambda *x: np.concatenate(x), *latents)
  columns = {name: np.concatenate([part[name] for part in fields]) for name in fields[0]}
  return Rows(z, values_of(columns, column), *known(model, 'train', columns, column))


def known(
  model, split: str, fields: Mapping[str, np.ndarray], column: int | None
) -> tuple[Sequence[Hashable] | None, np.ndarray]:
  """`keys` and `groups` of the first rows of a split, whose fields are given.

  A key is the other factors and the name of the row's file without skin tones. For labels they are
  None, because nothing says which rows differ in the label alone.
  """
  n = len(next(iter(fields.values())))
  table, _ = trained.open_split(model, split)
  groups = table.groups()[:n] if table.groups else np.arange(n)
  if column is None or 'factors' not in fields:
    return None, groups
  others = np.delete(fields['factors'], column, axis=1).tolist()
  names = [untoned(name) for name in table.names()[:n]] if table.names else [''] * n
  return [(name, *other) for name, other in zip(names, others, strict=True)], groups


def weighted_images(batches: Iterator[Mapping[str, np.ndarray]], field: str, weights) -> np.ndarray:
  """Σ_n weights[n, v] x[n] over the images of rows in parts, [V, H, W, C], for weights [N, V]."""
  total, first = 0.0, 0
  for rows in batches:
    x = np.asarray(rows[field], np.float32)
    total = total + np.tensordot(weights[first : first + len(x)], x, (0, 0))
    first += len(x)
  return total
