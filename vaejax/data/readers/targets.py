"""Labels and factors of the arrays in files."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from vaejax.data import classes, factors
from vaejax.data.readers import factored, named, stores
from vaejax.data.readers.stores import Array
from vaejax.data.settings import NO_LABEL, Settings
from vaejax.errors import UserError


class Part(NamedTuple):
  """The arrays of one split, the name of `data`, and the indices of the split's rows, None for
  all."""

  name: str
  data: Array
  label: Array | None
  factors: Array | None
  index: np.ndarray | None


def read(
  known: factored.Factored | None,
  parts: Mapping[str, Part],
  stored: Mapping[str, Array],
  settings: Settings,
  origin: str,
) -> tuple[dict, tuple[str, ...], dict, dict[str, int], tuple[str, ...]]:
  """{split: labels of all rows of its array}, the names of the classes, {split: factors},
  {factor: number of its values}, and notes.

  Labels that cannot be classes are left out with a note, unless `data.label` chooses them: then
  they raise UserError.
  """
  values_of = {a: stores.everything(a) for p in parts.values() for a in (p.label, p.factors) if a}
  if known:
    numbers = factored.encode(known, stores.everything(stored[known.factors]))
    label = settings.label or known.label
    if label == NO_LABEL:
      return {}, (), dict.fromkeys(parts, numbers), dict(known.counts), ()
    if label not in known.counts:
      raise UserError(
        f'data.label={label!r} is not a factor of {known.name}. Choose one of '
        f'{", ".join(known.counts)}'
      )
    names = known.class_names if label == known.label else ()
    names = names or tuple(map(str, range(known.counts[label])))
    column = np.ascontiguousarray(numbers[:, list(known.counts).index(label)])
    all_rows = dict.fromkeys(parts, column), dict.fromkeys(parts, numbers)
    return all_rows[0], names, all_rows[1], dict(known.counts), ()
  labels, class_names, notes = {}, (), ()
  if any(part.label for part in parts.values()):
    try:
      labels, class_names = encode_labels(parts, values_of, f'the labels of {origin}')
    except UserError as error:
      if settings.label:
        raise
      notes = (f'labels are not read: {error}',)
  columns, counts = {}, {}
  if all(part.factors for part in parts.values()):
    names = next((a for n, a in stored.items() if named.parse(n).field == 'factor_names'), None)
    names = None if names is None else [text(v) for v in stores.everything(names)]
    by_array = {p.factors: values_of[p.factors] for p in parts.values()}
    encoded, counts = factors.encode(by_array, names, origin)
    columns = {s: encoded[p.factors] for s, p in parts.items()}
  return labels, class_names, columns, counts, notes


def encode_labels(
  parts: Mapping[str, Part], values_of: Mapping[Array, np.ndarray], what: str
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
  """{split: labels of all rows of its array} and the names of the classes; both are empty if no row
  has a label. Raises UserError if labels cannot be classes."""
  values = {p.label: one_hot(values_of[p.label]) for p in parts.values() if p.label}
  class_names = classes.class_names(values.values(), what)
  encoded = {a: classes.encode(v, class_names, what)[0] for a, v in values.items()}
  missing = {s: np.full(p.data.shape[0], classes.MISSING, np.int32) for s, p in parts.items()}
  labels = {s: encoded.get(p.label, missing[s]) for s, p in parts.items()} if class_names else {}
  return labels, class_names


def text(value) -> str:
  """A name as str, also of bytes."""
  return value.decode('utf-8', 'replace') if isinstance(value, bytes) else str(value)


def one_hot(x: np.ndarray) -> np.ndarray:
  """Labels [N] of one-hot rows [N, K]; other labels as they are."""
  is_one_hot = (
    x.ndim == 2 and x.shape[1] > 1 and x.dtype.kind in 'biuf'
    and ((x == 0) | (x == 1)).all() and (x.sum(axis=1) == 1).all()
  )  # fmt: skip
  return x.argmax(axis=1) if is_one_hot else x
