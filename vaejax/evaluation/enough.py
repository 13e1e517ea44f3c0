"""The error of an eval that has fewer rows than its statistic needs."""

from collections.abc import Mapping

from vaejax.errors import UserError

KINDS = {'test': 'tested rows', 'train': 'training rows'}


def check_rows(rows: Mapping[str, Mapping], least: int) -> None:
  """Raises UserError if a stream has fewer rows than `least`. `rows` are those that `finish` of an
  Eval is given."""
  for stream, named in rows.items():
    count = len(next(iter(named.values())))
    if count < least:
      raise UserError(
        f'it needs {least:,} {KINDS.get(stream, stream)} or more, but there '
        f'{"is" if count == 1 else "are"} {count:,}. Use a larger split'
      )
