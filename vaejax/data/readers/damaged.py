"""The errors of damaged files, as one line for the user."""

import contextlib
import zipfile
from collections.abc import Iterator

from vaejax.errors import UserError

# What formats of arrays raise for damaged headers and values.
FILE_ERRORS = (
  *(OSError, EOFError, LookupError, ValueError, NotImplementedError),
  *(zipfile.BadZipFile, zipfile.zlib.error),
)


def describe(path: object, error: Exception) -> str:
  """The message about a file that cannot be read: its path, the kind of error, and its first
  line."""
  reason = ': '.join([type(error).__name__, *str(error).splitlines()[:1]])
  return f'cannot read {path}: damaged? {reason}'


@contextlib.contextmanager
def reading(path: object, kinds=FILE_ERRORS) -> Iterator[None]:
  """Turns errors of these kinds, in reading files that others wrote, into a UserError that names
  the file. Of formats that raise anything `kinds` is Exception."""
  try:
    yield
  except UserError:
    raise
  except kinds as error:
    raise UserError(describe(path, error)) from error
