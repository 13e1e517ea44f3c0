"""Rows of real numbers whose logarithm is taken: it is checked that all of them have one."""

from collections.abc import Mapping

import numpy as np

from vaejax.data import fingerprint
from vaejax.data.table import Table
from vaejax.errors import UserError


def checked(rows: Table) -> Table:
  """A table that raises UserError where it reads a number that is not positive: at once if it is
  small, else with the rows."""
  name = 'video' if 'video' in rows.row else 'image'

  def check(read: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
    if read[name].size and (smallest := read[name].min()) <= 0:
      raise UserError(
        f'data.transform=log needs positive numbers, but {rows.origin} has {smallest:g}. Use '
        'data.transform=asinh'
      )
    return read

  if rows.size * fingerprint.row_bytes(rows.row) <= fingerprint.EXACT_BYTES:
    check(rows.load())
    return rows
  return rows._replace(
    load=lambda: check(rows.load()), fetch=lambda index: check(rows.fetch(index))
  )
