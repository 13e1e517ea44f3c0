"""Factors of variation: columns of values that become int32, 0 to the number of values - 1."""

from collections.abc import Mapping, Sequence

import numpy as np

from vaejax.errors import UserError
from vaejax.plural import counted

MAX_VALUES = 10_000  # of one factor


def encode(
  parts: Mapping[object, np.ndarray], names: Sequence[str] | None, what: str
) -> tuple[dict, dict[str, int]]:
  """{split: int32 [N, F]}, the index of each value among the sorted values of its factor, and
  {factor: number of its values}.

  Args:
    parts: {split: [N, F] or [N] of whole numbers, floats or text}.
    names: the names of the columns; None: factor_0 and so on.
    what: whose factors they are, for errors.

  Raises UserError if they are not columns, if a column has more than MAX_VALUES values, or if the
  number of names differs from that of the columns.
  """
  columns = {split: x[:, None] if x.ndim == 1 else x for split, x in parts.items()}
  first = next(iter(columns.values()))
  if any(x.ndim != 2 or x.shape[1] != first.shape[1] for x in columns.values()):
    shapes = ' and '.join(str(list(x.shape)) for x in columns.values())
    raise UserError(
      f'the factors of {what} have the shape {shapes}. Give [N, F], a column for each'
    )
  names = names or [f'factor_{i}' for i in range(first.shape[1])]
  if len(names) != first.shape[1]:
    raise UserError(f'{what} has {counted(first.shape[1], "factor")}, but names for {len(names)}')
  result = {split: np.empty(x.shape, np.int32) for split, x in columns.items()}
  counts = {}
  for i, name in enumerate(names):
    values = np.unique(np.concatenate([x[:, i] for x in columns.values()]))
    if len(values) > MAX_VALUES:
      raise UserError(
        f'the factor {name} of {what} has {len(values):,} values. Give factors with at most '
        f'{MAX_VALUES:,}, or leave it out'
      )
    counts[str(name)] = len(values)
    for split, x in columns.items():
      result[split][:, i] = np.searchsorted(values, x[:, i])
  return result, counts
