"""The log of a run: metrics.jsonl, TensorBoard events, pictures, and progress on the terminal.

Process 0 alone opens it. Opening drops what a killed run wrote past its last checkpoint, so that
the rows of a resumed run are those of one that never stopped.
"""

import contextlib
import errno
import functools
import json
import math
import pathlib
import sys
from collections.abc import Callable, Mapping

from vaejax.errors import RunError
from vaejax.reporting.images import encode_png, enlarge
from vaejax.reporting.tensorboard import Events
from vaejax.runs.files import full_disk, parse_row, plain, read_rows, write_atomic


def open_log(workdir, *, total: int, images_per_step: int, step: int = 0, stream=None) -> 'Log':
  """Opens the log of a run that is at `step` of `total`, and creates `workdir` if need be.

  Drops the rows of metrics.jsonl beyond `step`, lines that are not rows (one cut short by a kill),
  and, if a finished run is extended, its last test, which is repeated at the new end. TensorBoard
  ignores older events beyond `step`.

  Args:
    workdir: folder of the run.
    total: steps of the run.
    images_per_step: examples that one step trains on, for the rate in images/s.
    step: of the restored state, 0 for a new run.
    stream: where progress is shown, by default sys.stderr.

  Raises:
    RunError: the disk is full.
    OSError: the folder cannot be written.
  """
  workdir = pathlib.Path(workdir)
  workdir.mkdir(parents=True, exist_ok=True)
  path = workdir / 'metrics.jsonl'
  if path.is_file():
    old = path.read_bytes()
    kept = filter_rows(old, lambda r: r['step'] <= step and (step == total or not r.get('final')))
    if kept != old:
      write_atomic(path, kept)
  return Log(workdir, step, (stream or sys.stderr, total, images_per_step))


def filter_rows(data: bytes, keep: Callable[[dict], bool]) -> bytes:
  """The lines of a metrics.jsonl that are rows for which `keep(row)` is true."""
  rows = ((line, parse_row(line)) for line in data.split(b'\n'))
  return b''.join(line + b'\n' for line, row in rows if row and keep(row))


def elapsed_seconds(workdir: pathlib.Path, step: int) -> float:
  """Seconds of training up to `step`, over all starts: from the last row up to it, or 0."""
  rows = [row for row in read_rows(workdir / 'metrics.jsonl') if row['step'] <= step]
  return float(rows[-1]['seconds']) if rows else 0.0


class Log:
  """An open log; a context manager. Methods raise RunError if the disk is full."""

  def __init__(self, workdir: pathlib.Path, step: int, progress: tuple):
    self._workdir, self._step, self._progress_args = workdir, step, progress
    self._path = workdir / 'metrics.jsonl'
    self._events = None  # made when first used, like _progress: imports would delay the first step
    # Unbuffered: a row is in the file when the call that writes it returns, or raises.
    self._rows = open(self._path, 'ab', buffering=0)  # noqa: SIM115

  def write_scalars(
    self, step: int, split: str, seconds: float, values: Mapping[str, float], final: bool = False
  ) -> None:
    """Appends a row to metrics.jsonl, and the values to TensorBoard as '<split>/<name>'.

    Args:
      step: steps done.
      split: 'train', 'validation' or 'test'.
      seconds: training time so far, over all starts.
      values: numbers; NaN and ±inf become null in the file, because JSON cannot express them.
      final: whether it is the last test, which is not repeated if the last row equals it.
    """
    self._write(step, split, seconds, [values], values, final)

  def write_members(
    self, step: int, split: str, seconds: float, values, mean, final: bool = False
  ) -> None:
    """Appends a row for each member of a stack, with its number as 'member', from `values`,
    {number: its values}. TensorBoard gets only `mean`. Otherwise as write_scalars."""
    rows = [{'member': number, **row} for number, row in values.items()]
    self._write(step, split, seconds, rows, mean, final)

  def write_image(self, step: int, name: str, image) -> pathlib.Path:
    """Writes a picture, uint8 [H, W, C], enlarged as by `enlarge`, to TensorBoard and to
    images/<name>_<step in 8 digits>.png, and returns that path."""
    image = enlarge(image)
    png = encode_png(image)
    path = self._workdir / 'images' / f'{name}_{step:08d}.png'
    with full_disk(path):
      path.parent.mkdir(exist_ok=True)
    write_atomic(path, png)
    size = dict(zip(('height', 'width', 'colorspace'), image.shape, strict=True))
    self._write_events(step, [{'tag': name, 'image': size | {'encoded_image_string': png}}])
    return path

  def show_progress(self, step: int, values: Mapping[str, float]) -> None:
    """Shows that `step` steps are done, and `values` in their order. On a terminal one line is
    redrawn in place; elsewhere a line is printed every 10 seconds, and at the start and end."""
    self._progress.show(step, values)

  def exclude(self, seconds: float) -> None:
    """Leaves `seconds` without training since the last progress out of the rates."""
    self._progress.exclude(seconds)

  def print(self, text: str) -> None:
    """Prints a line of text where progress is shown, above the bar."""
    self._progress.print(text)

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
    # If the run has failed, its error matters, not one from closing.
    with contextlib.suppress(*([OSError, RunError] if kind else [])):
      self.close()

  @functools.cached_property
  def _progress(self):
    from vaejax.reporting.progress import Progress

    return Progress(*self._progress_args)

  def _write(self, step, split, seconds, metrics, scalars, final):
    start = {'step': int(step), 'split': split, 'seconds': round(float(seconds), 3)}
    rows = [start | plain(row) for row in metrics]
    if final:
      last = read_rows(self._path)[-len(rows) :] if rows else []
      if len(last) == len(rows) and all(map(_is_close, last, rows)):
        return
      if any(row.get('final') for row in last):
        self._drop_final()
      rows = [row | {'final': True} for row in rows]
    lines = b''.join(json.dumps(row, allow_nan=False).encode() + b'\n' for row in rows)
    with full_disk(self._path):
      if self._rows.write(lines) != len(lines):
        raise OSError(errno.ENOSPC, 'only a part of the rows was written')
    values = [{'tag': f'{split}/{name}', 'simple_value': x} for name, x in scalars.items()]
    self._write_events(step, values)

  def _drop_final(self):
    self._rows.close()
    write_atomic(self._path, filter_rows(self._path.read_bytes(), lambda r: not r.get('final')))
    self._rows = open(self._path, 'ab', buffering=0)  # noqa: SIM115

  def _write_events(self, step, values):
    if self._events is None:
      self._events = Events(self._workdir / 'tensorboard', self._step)
    self._events.write(step, values)


def _is_close(a: dict, b: dict) -> bool:
  """Whether two rows have the same values, up to the clock and rounding."""
  a, b = ({k: v for k, v in row.items() if k not in ('seconds', 'final')} for row in (a, b))
  close = lambda x, y: x == y or (type(x) is type(y) is float and math.isclose(x, y, rel_tol=1e-4))
  return a.keys() == b.keys() and all(close(a[name], b[name]) for name in a)
