"""TensorBoard's event files."""

import contextlib
import os
import pathlib
import sys
import time

from vaejax.runs.files import full_disk


@contextlib.contextmanager
def without(package: str):
  """Imports here find that a package is not installed, unless it was imported before: tensorboardX
  imports torch where there is one, which takes half as long as a whole start."""
  hidden = package not in sys.modules
  if hidden:
    sys.modules[package] = None
  try:
    yield
  finally:
    if hidden:
      del sys.modules[package]


class Events:
  """One event file, written by the calling thread. tensorboardX's SummaryWriter has a thread
  behind a bounded queue: when a full disk kills that thread, the run waits for ever."""

  def __init__(self, folder: pathlib.Path, step: int):
    with without('torch'):
      from tensorboardX import RecordWriter
      from tensorboardX.proto.event_pb2 import Event, SessionLog

    earlier = any(folder.glob('*tfevents*'))
    # TensorBoard reads in the order of the names. The process, since two may start in one second.
    self._path = folder / f'events.out.tfevents.{time.time():.0f}.{os.getpid()}'
    self._flushed = 0.0
    with full_disk(self._path):
      folder.mkdir(exist_ok=True)
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
