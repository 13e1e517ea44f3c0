"""Checks that real numbers are positive where data.transform takes their logarithm."""

from collections.abc import Mapping

import numpy as np

from vaejax.data import fingerprint
from vaejax.data.table import Table
from vaejax.errors import UserError


def checked(rows: Table) -> Table:
  """The table, whose rows are checked: at once if it is small, else as they are loaded or fetched.
  Raises UserError for a number that is not positive."""
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
