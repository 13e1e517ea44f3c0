"""The log of a run: metrics.jsonl, TensorBoard events, pictures, and a line on the terminal.

Opened on process 0 alone. What a killed run wrote past its last checkpoint is dropped when the log
is opened again at that checkpoint's step: a resumed run's rows read as if it had never stopped.
"""

import contextlib
import datetime
import errno
import json
import math
import os
import pathlib
import sys
import time
from collections import deque
from collections.abc import Mapping

from vaejax.engine.files import full_disk, parse_row, plain, read_rows, write_atomic
from vaejax.engine.images import encode_png, enlarge, short
from vaejax.errors import RunError


def open_log(
  workdir, *, total: int, images_per_step: int, step: int = 0, stream=None, clock=time.monotonic
) -> 'Log':
  """Opens the log of `workdir` (made if missing) for a run that stands at `step` of `total`.

  Rows of metrics.jsonl beyond `step` are dropped, and with them every line that is not a row (one
  torn by a kill, garbage); TensorBoard is told to forget its events beyond `step`.

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
    rows = ((line, parse_row(line)) for line in old.split(b'\n'))
    kept = b''.join(line + b'\n' for line, row in rows if row and row['step'] <= step)
    if kept != old:
      write_atomic(path, kept)
  progress = _Progress(stream or sys.stderr, total, images_per_step, clock)
  return Log(workdir, step, progress)


def elapsed_before(workdir: pathlib.Path, step: int) -> float:
  """Seconds of training up to `step`, over all earlier starts: from there the loop's clock goes on.
  `seconds` of the last row that is not beyond `step`; 0.0 where there is none."""
  rows = [row for row in read_rows(workdir / 'metrics.jsonl') if row['step'] <= step]
  return float(rows[-1]['seconds']) if rows else 0.0


class Log:
  """An open log; a context manager. Methods raise RunError where the disk is full."""

  def __init__(self, workdir: pathlib.Path, step: int, progress: '_Progress'):
    self._workdir, self._step, self._progress = workdir, step, progress
    self._path = workdir / 'metrics.jsonl'
    self._events = None  # made at the first write: its import has no place before the first step
    # Unbuffered: a row is in the file when `scalars` returns, and an error comes from that call.
    self._rows = open(self._path, 'ab', buffering=0)  # noqa: SIM115

  def scalars(self, step: int, split: str, seconds: float, values: Mapping[str, float]) -> None:
    """Appends one row to metrics.jsonl, and the values to TensorBoard as '<split>/<name>'.

    Args:
      step: steps done.
      split: 'train' or 'test'.
      seconds: training time so far, over all starts.
      values: finite numbers; NaN and ±inf become null in the file, which JSON has no word for.
    """
    values = {name: float(value) for name, value in values.items()}
    self._append([_row(step, split, seconds, values)])
    self._board(step, [{'tag': f'{split}/{k}', 'simple_value': v} for k, v in values.items()])

  def members(self, step: int, split: str, seconds: float, rows, mean) -> None:
    """The same of a stack of runs: a row of `rows`, {member: values}, for each, with its number as
    'member'; TensorBoard gets `mean` alone."""
    named = [{'member': number, **values} for number, values in rows.items()]
    self._append([_row(step, split, seconds, values) for values in named])
    self._board(step, [{'tag': f'{split}/{k}', 'simple_value': v} for k, v in mean.items()])

  def images(self, step: int, name: str, image) -> pathlib.Path:
    """Writes a picture, uint8 [H, W, C], enlarged as `enlarge` does, to TensorBoard and to
    images/<name>_<step in 8 digits>.png, whose path it returns."""
    image = enlarge(image)
    png = encode_png(image)
    path = self._workdir / 'images' / f'{name}_{step:08d}.png'
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

  def _append(self, rows):
    lines = b''.join(json.dumps(row, allow_nan=False).encode() + b'\n' for row in rows)
    with full_disk(self._path):
      if self._rows.write(lines) != len(lines):
        raise OSError(errno.ENOSPC, 'part of a row was written')

  def _board(self, step, values):
    if self._events is None:
      self._events = _Events(self._workdir / 'tensorboard', self._step)
    self._events.write(step, values)


def _row(step, split, seconds, values) -> dict:
  return {'step': int(step), 'split': split, 'seconds': round(float(seconds), 3), **plain(values)}


class _Events:
  """One event file, written by the calling thread. tensorboardX's SummaryWriter has a thread
  behind a bounded queue: when a full disk kills that thread, the run waits for ever."""

  def __init__(self, folder: pathlib.Path, step: int):
    from tensorboardX import RecordWriter
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    folder.mkdir(exist_ok=True)
    earlier = any(folder.glob('*tfevents*'))
    # TensorBoard reads in the order of the names. The process, since two may start in one second.
    self._path = folder / f'events.out.tfevents.{time.time():.0f}.{os.getpid()}'
    self._flushed = 0.0
    with full_disk(self._path):
      self._file, self._event = RecordWriter(str(self._path)), Event
    self._add(0, file_version='brain.Event:2')
    if earlier:  # what an earlier start wrote from this step on is to be forgotten
      self._add(step + 1, session_log=SessionLog(status=SessionLog.START))

  def write(self, step, values):
    self._add(step, summary={'value': values})

  def close(self):
    with full_disk(self._path):
      try:
        self._file.flush()
      finally:
        self._file.close()

  def _add(self, step, **what):
    now = time.time()
    with full_disk(self._path):
      self._file.write(self._event(step=step, wall_time=now, **what).SerializeToString())
      if now - self._flushed > 5:  # it waits for the disk, so not every time
        self._file.flush()
        self._flushed = now


class _Progress:
  def __init__(self, stream, total: int, images_per_step: int, clock):
    self._stream, self._total, self._images, self._clock = stream, total, images_per_step, clock
    self._live = stream.isatty() and os.environ.get('TERM') != 'dumb'
    self._first = None  # (seconds, step) of the first call: what came before is start-up
    self._recent = deque()  # the same of the last 5 seconds
    self._drawn = -math.inf
    self._pending, self.away = None, 0.0

  def show(self, step, values):
    now = self._clock() - self.away
    self._first = self._first or (now, step)
    self._recent.append((now, step))
    while len(self._recent) > 2 and now - self._recent[1][0] > 5:
      self._recent.popleft()
    self._pending = step, dict(values)
    if step >= self._total or now - self._drawn >= (0.1 if self._live else 10):
      self._draw()
      self._drawn = now

  def say(self, text):
    self._write('\r' + text.ljust(self._columns()) + '\n' if self._live else text + '\n')

  def close(self):
    if self._pending:
      self._draw()
    if self._live and self._first:
      self._write('\n')
    self._live = False

  def _draw(self):
    (step, values), self._pending = self._pending, None
    text = '  '.join(self._parts(step, values))
    if self._live:
      full = min(10, 10 * step // max(self._total, 1))
      text = f'[{"#" * full}{"." * (10 - full)}]{text}'
      columns = self._columns()
      text = '\r' + text[:columns].ljust(columns)
    self._write(text if self._live else text + '\n')

  def _parts(self, step, values):
    label = '' if self._live else 'step '  # a terminal of 80 columns has no room to spare
    yield f'{step / max(self._total, 1):4.0%}  {label}{step}/{self._total}'
    (start, origin), (before, past), (now, _) = self._first, self._recent[0], self._recent[-1]
    if now > before and step > past:
      left = round((self._total - step) * (now - start) / (step - origin))
      rate = (step - past) / (now - before)
      images = rate * self._images
      yield str(datetime.timedelta(seconds=left)).removeprefix('0:') + ' left'
      yield f'{short(rate)} steps/s'
      yield (f'{images / 1e3:,.0f}k' if images >= 1e4 else short(images)) + ' images/s'
    yield from (f'{k} {short(v)}' for k, v in values.items() if k not in ('lr', 'steps_per_s'))

  def _columns(self):
    try:  # one fewer, since a full line wraps on some terminals
      return (os.get_terminal_size(self._stream.fileno()).columns or 80) - 1
    except (OSError, ValueError):
      return 79

  def _write(self, text):
    # A terminal that has gone, or a pipe that nobody reads, is no reason to stop a run.
    with contextlib.suppress(OSError, ValueError):
      self._stream.write(text)
      self._stream.flush()
