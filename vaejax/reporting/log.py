"""The log of a run: metrics.jsonl, TensorBoard events, pictures, and a line on the terminal.

Opened on process 0 alone. What a killed run wrote past its last checkpoint is dropped when the log
is opened again at that checkpoint's step: a resumed run's rows read as if it had never stopped.
"""

import contextlib
import errno
import json
import math
import pathlib
import sys
import time
from collections.abc import Mapping

from vaejax.errors import RunError
from vaejax.reporting.images import encode_png, enlarge
from vaejax.reporting.progress import Progress
from vaejax.reporting.tensorboard import Events
from vaejax.runs.files import full_disk, parse_row, plain, read_rows, write_atomic


def open_log(
  workdir, *, total: int, images_per_step: int, step: int = 0, stream=None, clock=time.monotonic
) -> 'Log':
  """Opens the log of `workdir` (made if missing) for a run that stands at `step` of `total`.

  Rows of metrics.jsonl beyond `step` are dropped, and with them every line that is not a row (one
  torn by a kill, garbage), and, where a finished run goes on, its last test, which comes again at
  the new end; TensorBoard is told to forget its events beyond `step`.

  Args:
    workdir: folder of the run.
    total: steps of the whole run.
    images_per_step: examples that one step trains on, for the rate in images/s.
    step: the restored step, 0 for a new run.
    stream: where progress goes, by default `sys.stderr`.
    clock: gives seconds; only differences count.

  Raises:
    RunError: the disk is full.
    OSError: the folder cannot be written.
  """
  workdir = pathlib.Path(workdir)
  workdir.mkdir(parents=True, exist_ok=True)
  path = workdir / 'metrics.jsonl'
  if path.is_file():
    old = path.read_bytes()
    kept = lines(old, lambda row: row['step'] <= step and (step == total or not row.get('final')))
    if kept != old:
      write_atomic(path, kept)
  progress = Progress(stream or sys.stderr, total, images_per_step, clock)
  return Log(workdir, step, progress)


def lines(old: bytes, wanted) -> bytes:
  """The lines of a metrics.jsonl that are rows which are wanted."""
  rows = ((line, parse_row(line)) for line in old.split(b'\n'))
  return b''.join(line + b'\n' for line, row in rows if row and wanted(row))


def elapsed_before(workdir: pathlib.Path, step: int) -> float:
  """Seconds of training up to `step`, over all earlier starts: from there the loop's clock goes on.
  `seconds` of the last row that is not beyond `step`; 0.0 where there is none."""
  rows = [row for row in read_rows(workdir / 'metrics.jsonl') if row['step'] <= step]
  return float(rows[-1]['seconds']) if rows else 0.0


class Log:
  """An open log; a context manager. Methods raise RunError where the disk is full."""

  def __init__(self, workdir: pathlib.Path, step: int, progress: Progress):
    self._workdir, self._step, self._progress = workdir, step, progress
    self._path = workdir / 'metrics.jsonl'
    self._events = None  # made at the first write: its import has no place before the first step
    # Unbuffered: a row is in the file when `scalars` returns, and an error comes from that call.
    self._rows = open(self._path, 'ab', buffering=0)  # noqa: SIM115

  def scalars(
    self, step: int, split: str, seconds: float, values: Mapping[str, float], final: bool = False
  ) -> None:
    """Appends one row to metrics.jsonl, and the values to TensorBoard as '<split>/<name>'.

    Args:
      step: steps done.
      split: 'train', 'validation' or 'test'.
      seconds: training time so far, over all starts.
      values: finite numbers; NaN and ±inf become null in the file, which JSON has no word for.
      final: of the last test, which is not logged where the last row says the same.
    """
    values = {name: float(value) for name, value in values.items()}
    rows = [_row(step, split, seconds, values)]
    if final and not self._replace(rows):
      return
    self._append([row | {'final': True} for row in rows] if final else rows)
    self._board(step, [{'tag': f'{split}/{k}', 'simple_value': v} for k, v in values.items()])

  def members(self, step: int, split: str, seconds: float, rows, mean, final: bool = False) -> None:
    """The same of a stack of runs: a row of `rows`, {member: values}, for each, with its number as
    'member'; TensorBoard gets `mean` alone."""
    named = [{'member': number, **values} for number, values in rows.items()]
    rows = [_row(step, split, seconds, values) for values in named]
    if final and not self._replace(rows):
      return
    self._append([row | {'final': True} for row in rows] if final else rows)
    self._board(step, [{'tag': f'{split}/{k}', 'simple_value': v} for k, v in mean.items()])

  def images(self, step: int, name: str, image) -> pathlib.Path:
    """Writes a picture, uint8 [H, W, C], enlarged as `enlarge` does, to TensorBoard and to
    images/<name>_<step in 8 digits>.png, whose path it returns."""
    image = enlarge(image)
    png = encode_png(image)
    path = self._workdir / 'images' / f'{name}_{step:08d}.png'
    with full_disk(path):
      path.parent.mkdir(exist_ok=True)
    write_atomic(path, png)
    height, width, channels = image.shape
    picture = {
      'height': height,
      'width': width,
      'colorspace': channels,
      'encoded_image_string': png,
    }
    self._board(step, [{'tag': name, 'image': picture}])
    return path

  def progress(self, step: int, values: Mapping[str, float]) -> None:
    """Shows that `step` steps are done, and `values` in their order. On a terminal one line is
    redrawn in place; elsewhere a line comes every 10 seconds at most, besides the first and last.
    """
    self._progress.show(step, values)

  def away(self, seconds: float) -> None:
    """Tells that so many seconds since the last progress were no training: rates leave them out."""
    self._progress.away += seconds

  def say(self, text: str) -> None:
    """Prints a line of text where progress goes, without tearing the bar."""
    self._progress.say(text)

  def close(self) -> None:
    """Shows the last progress, and closes the files. A second call does nothing."""
    self._progress.close()
    self._rows.close()
    if self._events:
      events, self._events = self._events, None
      events.close()

  def __enter__(self) -> 'Log':
    return self

  def __exit__(self, kind, error, trace) -> None:
    # A run that already fails is to be heard of for that reason, not for what then fails here.
    with contextlib.suppress(*([OSError, RunError] if kind else [])):
      self.close()

  def _replace(self, rows) -> bool:
    """Drops the last test that there is, unless it says the same as these rows, rounding apart;
    whether they are to be written."""
    before = read_rows(self._path)[-len(rows) :] if rows else []
    if len(before) == len(rows) and all(map(_same, before, rows)):
      return False
    if any(row.get('final') for row in before):
      self._rows.close()
      write_atomic(self._path, lines(self._path.read_bytes(), lambda row: not row.get('final')))
      self._rows = open(self._path, 'ab', buffering=0)  # noqa: SIM115
    return True

  def _append(self, rows):
    lines = b''.join(json.dumps(row, allow_nan=False).encode() + b'\n' for row in rows)
    with full_disk(self._path):
      if self._rows.write(lines) != len(lines):
        raise OSError(errno.ENOSPC, 'part of a row was written')

  def _board(self, step, values):
    if self._events is None:
      self._events = Events(self._workdir / 'tensorboard', self._step)
    self._events.write(step, values)


def _row(step, split, seconds, values) -> dict:
  return {'step': int(step), 'split': split, 'seconds': round(float(seconds), 3), **plain(values)}


def _same(a: dict, b: dict) -> bool:
  """Whether two rows have the same values, but for the clock and rounding."""
  a, b = ({k: v for k, v in row.items() if k not in ('seconds', 'final')} for row in (a, b))
  if a.keys() != b.keys():
    return False
  pairs = [(a[name], b[name]) for name in a]
  near = lambda x, y: (
    x == y or (isinstance(x, float) and isinstance(y, float) and math.isclose(x, y, rel_tol=1e-4))
  )
  return all(near(x, y) for x, y in pairs)
