"""Files of a workdir: written completely or not at all, whatever ends the process."""

import contextlib
import errno
import json
import math
import os
import pathlib
import tempfile

import numpy as np

from vaejax.errors import RunError, UserError

_KNOWN = {
  'config.json': ("a run's configuration", 'Use a workdir that `train` has written'),
  'evaluation.json': ("a run's test results", 'Write it again with `evaluate`'),
}


def is_disk_full(error: BaseException | None) -> bool:
  """Whether an error, or one that caused it, says that the disk, or the quota, is full."""
  if error is None:
    return False
  if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
    return True
  if any(words in str(error) for words in ('No space left', 'ENOSPC', 'quota exceeded')):
    return True
  return is_disk_full(error.__cause__ or error.__context__)


@contextlib.contextmanager
def full_disk(path):
  """Turns an OSError that says that the disk is full into a RunError."""
  try:
    yield
  except OSError as error:
    if is_disk_full(error):
      raise RunError(
        f'{path}: the disk is full. Free some space, then run the same command again'
      ) from error
    raise


def write_atomic(path, data: bytes | str) -> None:
  """Writes `data` (text as UTF-8) to `path`, which holds either its old content or all of the new.

  Raises:
    RunError: the disk is full; `path` is as it was.
    OSError: the folder is missing or may not be written; `path` is as it was.
  """
  with open_atomic(path) as file:
    file.write(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def open_atomic(path):
  """A binary file to write in parts, which replaces `path` at the end. Raises as `write_atomic`;
  after an error `path` is as it was."""
  path = pathlib.Path(path)
  # In the same folder, because a rename is atomic only within a file system.
  temporary = path.with_name(f'.{path.name}.{os.getpid()}.tmp')
  try:
    with full_disk(path):
      with open(temporary, 'wb') as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
      os.replace(temporary, path)
  except BaseException:
    # A failure to remove it must not hide the error.
    with contextlib.suppress(OSError):
      temporary.unlink(missing_ok=True)
    raise


def plain(obj):
  """`obj` in the types of JSON: NumPy values as numbers and lists, NaN and ±inf as None."""
  if isinstance(obj, (np.generic, np.ndarray)):
    obj = obj.tolist()
  if isinstance(obj, float) and not math.isfinite(obj):
    return None
  if isinstance(obj, dict):
    return {str(key): plain(value) for key, value in obj.items()}
  if isinstance(obj, (list, tuple)):
    return [plain(value) for value in obj]
  return obj


def not_writable(folder) -> str | None:
  """Why nothing can be written in a folder, or None if something can; it may not exist yet."""
  folder = pathlib.Path(folder)
  while not folder.exists() and folder != folder.parent:
    folder = folder.parent
  if not folder.is_dir():
    return f'{folder} is not a folder'
  try:
    # Not os.access, which does not know every reason why writing can fail.
    with tempfile.NamedTemporaryFile(dir=folder, prefix='.'):
      return None
  except OSError as error:
    return f'{folder} cannot be written ({error.strerror})'


def write_json(path, obj) -> None:
  """Writes `plain(obj)` as indented JSON, atomically. Keys keep their order.

  Raises:
    TypeError: `obj` has a value that JSON cannot hold; nothing is written.
    RunError: the disk is full.
  """
  write_atomic(path, json.dumps(plain(obj), indent=2, allow_nan=False) + '\n')


def read_json(path):
  """The object in a JSON file.

  Raises:
    UserError: there is no such file, it cannot be read, or it is not JSON.
  """
  path = pathlib.Path(path)
  what, remedy = _KNOWN.get(path.name, ('a JSON file', 'Check the path'))
  try:
    return json.loads(path.read_bytes())
  except FileNotFoundError:
    raise UserError(f'{path}, {what}, does not exist. {remedy}') from None
  except OSError as error:
    raise UserError(f'{path}, {what}, cannot be read ({error.strerror}). {remedy}') from None
  except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested too deeply
    raise UserError(f'{path} should be {what}, but is not JSON ({error}). {remedy}') from None


def read_rows(path) -> list[dict]:
  """The rows of a metrics.jsonl in order; [] if there is no file. Other lines are skipped."""
  path = pathlib.Path(path)
  lines = path.read_bytes().split(b'\n') if path.is_file() else []
  return [row for row in map(parse_row, lines) if row]


def parse_row(line: bytes) -> dict | None:
  """One line of metrics.jsonl, or None if it is not a complete row.

  A row has an int `step`, a str `split` and a finite number `seconds`; other values may be of any
  type.
  """
  try:
    row = json.loads(line)
  except (ValueError, RecursionError):
    return None
  if not isinstance(row, dict) or not isinstance(row.get('split'), str):
    return None
  step, seconds = row.get('step'), row.get('seconds')
  is_step = type(step) is int and 0 <= step < 2**53
  return row if is_step and type(seconds) in (int, float) and 0 <= seconds < 2**53 else None
