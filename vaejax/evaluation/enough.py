"""The errors of an eval that has too few rows for its statistic, or rows that are not finite."""

from collections.abc import Mapping

import numpy as np

from vaejax.errors import UserError

KINDS = {'test': 'tested rows', 'train': 'training rows'}


def check_rows(rows: Mapping[str, Mapping], least: int) -> None:
  """Raises UserError if a stream has fewer rows than `least`, or rows with NaN or infinity. `rows`
  are those that `finish` of an Eval is given."""
  for stream, named in rows.items():
    kind, count = KINDS.get(stream, stream), len(next(iter(named.values())))
    if count < least:
      raise UserError(
        f'it needs {least:,} {kind} or more, but there {"is" if count == 1 else "are"} {count:,}. '
        'Use a larger split'
      )
    finite = [np.isfinite(x).reshape(count, -1).all(axis=1) for x in named.values()]
    if bad := count - np.count_nonzero(np.all(finite, axis=0)):
      raise UserError(
        f'{bad:,} of {count:,} {kind} have values that are not finite. Evaluate an earlier '
        'checkpoint'
      )
