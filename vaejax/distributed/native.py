"""What C++ writes to the terminal in a program of several processes, and Python cannot catch."""

import contextlib
import os
import sys

SAID = b'\0said\n'


def hush() -> None:
  """Drops what C++ writes to stdout, which is Gloo's greetings, and passes its stderr through a
  process that puts a line in place of the pages with which JAX aborts where another is gone.

  Python's own streams stay as they are. The process ends after this one, which it does not hold up:
  to be called before any thread is started.
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
  os.dup2(writing, 2)
  os.close(writing)
  nowhere = os.open(os.devnull, os.O_WRONLY)
  os.dup2(nowhere, 1)
  os.close(nowhere)


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
      if not dying and line != SAID:
        os.write(error, line)
  if fatal and not told:
    os.write(
      error,
      b'error: process 0 has ended, or another no longer answers, so this one ends too: see what '
      b'they said; the same commands go on from the last checkpoint\n',
    )
