"""TensorBoard's event files."""

import contextlib
import pathlib
import sys
import time

from vaejax.runs.files import full_disk

FLUSH_SECONDS = 5  # flushing waits for the disk, so not every event is flushed


@contextlib.contextmanager
def hide_package(package: str):
  """Makes imports fail for a package that is not imported yet. tensorboardX imports torch if it
  can, which takes half as long as starting a run."""
  hidden = package not in sys.modules
  if hidden:
    sys.modules[package] = None
  try:
    yield
  finally:
    if hidden:
      del sys.modules[package]


class Events:
  """An event file, written in the calling thread. tensorboardX's SummaryWriter writes in a thread
  behind a bounded queue: if a full disk ends that thread, the run waits for ever."""

  def __init__(self, folder: pathlib.Path, step: int):
    with hide_package('torch'):
      from tensorboardX.event_file_writer import EventsWriter
      from tensorboardX.proto.event_pb2 import Event, SessionLog

    resumed = any(folder.glob('*tfevents*'))
    self._folder, self._event, self._flushed = folder, Event, 0.0
    with full_disk(folder):
      folder.mkdir(exist_ok=True)
      # TensorBoard reads in the order of names; a run may be resumed in the same second.
      self._writer = EventsWriter(str(folder / 'events'), f'.{time.time_ns()}')
    if resumed:  # TensorBoard drops what an earlier start wrote from this step on
      self._add(step + 1, session_log=SessionLog(status=SessionLog.START))

  def write(self, step: int, values: list[dict]) -> None:
    """Adds a summary of values, which are fields of its protocol buffer."""
    self._add(step, summary={'value': values})

  def close(self) -> None:
    """Flushes and closes the file."""
    with full_disk(self._folder):
      self._writer.close()

  def _add(self, step, **content):
    now = time.time()
    with full_disk(self._folder):
      self._writer.write_event(self._event(step=step, wall_time=now, **content))
      if now - self._flushed > FLUSH_SECONDS:
        self._writer.flush()
        self._flushed = now
