"""The units of real numbers that a reader returns."""

import numpy as np

from vaejax import units
from vaejax.data.settings import Settings
from vaejax.data.table import Table
from vaejax.errors import UserError


def fit_units(train: np.ndarray, settings: Settings) -> units.Units:
  """The units fitted to values [N, ..., C] of the training split. Raises UserError if
  `data.transform`, `data.low` or `data.high` does not fit them."""
  low, high = settings.low, settings.high
  if None not in (low, high) and low >= high:
    raise UserError(f'data.low={low:g} is not below data.high={high:g}. Swap them')
  for name, end in (('low', low), ('high', high)):
    if settings.transform == 'log' and end is not None and end <= 0:
      raise UserError(
        f'data.{name}={end:g} has no logarithm, which data.transform=log needs. Give a positive '
        'number, or leave it out'
      )
  try:
    return units.fit(train, settings.transform, settings.low, settings.high)
  except ValueError as error:
    raise UserError(
      f'data.transform=log needs positive numbers, but {error}. Use data.transform=asinh'
    ) from None


def with_units(rows: Table, train: np.ndarray, settings: Settings, note: bool) -> Table:
  """A table of real numbers with units fitted to `train`, the values of the training split.

  With `note`, it also has a note with the range that pictures show, unless both ends are set.
  Raises UserError if `data.transform` does not fit the values.
  """
  fitted = fit_units(train, settings)
  if not note or None not in (settings.low, settings.high):
    return rows._replace(units=fitted)
  low = train.min() if settings.low is None else settings.low
  high = train.max() if settings.high is None else settings.high
  line = f'pictures show the values from {low:g} to {high:g}'
  if train.dtype.kind == 'f' and train.shape[-1] not in (1, 3):  # see units.fit
    line = 'pictures show each channel in the range of its own values'
  line += '; set data.low and data.high for others'
  return rows._replace(units=fitted, notes=(*rows.notes, line))
