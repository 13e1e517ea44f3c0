"""What C++ writes to the terminal in a program of several processes, and Python cannot catch."""

import contextlib
import os
import sys

SAID = b'\0said\n'


def hush() -> None:
  """Passes what C++ writes through a process that drops what is noise: Gloo's greetings, and the
  pages with which JAX aborts where process 0 has ended, in place of which a line is said.

  Python's own streams stay as they are. The process lives as long as this one writes, and does not
  hold it up: to be called before any thread is started.
  """
  out, error = os.dup(1), os.dup(2)
  reading, writing = os.pipe()
  if os.fork() == 0:
    os.close(writing)
    os.setpgid(0, 0)
    with contextlib.suppress(BaseException):
      filtered(reading, error)
    os._exit(0)
  os.close(reading)
  sys.stdout.flush(), sys.stderr.flush()
  sys.stdout = os.fdopen(out, 'w', buffering=1)
  sys.stderr = os.fdopen(error, 'w', buffering=1)
  for number in (1, 2):
    os.dup2(writing, number)
  os.close(writing)


def said() -> None:
  """Tells that process that this one has said itself why it ends."""
  os.write(2, SAID)


def filtered(reading: int, error: int) -> None:
  """Copies lines from one file to another, without the noise."""
  dying = fatal = told = False
  with os.fdopen(reading, 'rb') as lines:
    for line in lines:
      told = told or line == SAID
      fatal = fatal or b'JAX distributed service detected fatal errors' in line
      dying = dying or fatal or b'coordination_service' in line
      if not dying and not line.startswith((b'[Gloo]', SAID)):
        os.write(error, line)
  if fatal and not told:
    os.write(
      error,
      b'error: process 0 has ended, so this one ends too: see what that one said; the same '
      b'commands go on from the last checkpoint\n',
    )
