"""Lines for the user on a stream that may be gone."""

import codecs
import contextlib
import sys

PLAIN = {'±': '+-', '–': '-', '·': '-', '×': 'x', '…': '...'}


def print_line(text: str, stream=None) -> None:
  """Prints a line to a stream, by default stderr. A terminal that was closed, or a pipe that nobody
  reads, must not end a run: the line is lost."""
  with contextlib.suppress(OSError, ValueError):
    print(text, file=stream or sys.stderr, flush=True)


def accept_any_text(*streams) -> None:
  """Lets streams of any encoding, such as ASCII, take any text: characters that the encoding lacks
  are replaced as in PLAIN, or escaped."""
  codecs.register_error('vaejax_plain', replace)
  for stream in streams:
    if hasattr(stream, 'reconfigure'):  # not where a test or a notebook captures it
      stream.reconfigure(errors='vaejax_plain')


def replace(error: UnicodeError) -> tuple[str, int]:
  """The error handler of accept_any_text: the text for characters that cannot be encoded, and the
  position after them."""
  if not isinstance(error, UnicodeEncodeError):
    raise error
  characters = error.object[error.start : error.end]
  escape = lambda c: c.encode('ascii', 'backslashreplace').decode()
  return ''.join(PLAIN.get(c) or escape(c) for c in characters), error.end
