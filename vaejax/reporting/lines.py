"""Lines for the user on a stream that may be gone."""

import contextlib
import sys


def print_line(text: str, stream=None) -> None:
  """Prints a line to a stream, by default stderr. A terminal that was closed, or a pipe that nobody
  reads, must not end a run: the line is lost."""
  with contextlib.suppress(OSError, ValueError):
    print(text, file=stream or sys.stderr, flush=True)
