"""Lines for the user on a stream that may be gone."""

import codecs
import contextlib
import io
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


def aligned(head, rows, left: int = 1) -> str:
  """A table of texts with aligned columns, the first `left` of them to the left."""
  from rich.console import Console
  from rich.table import Column, Table

  columns = (Column(name, justify='right' if i >= left else 'left') for i, name in enumerate(head))
  table = Table(*columns, box=None, pad_edge=False)
  for row in rows:
    table.add_row(*row)
  console = Console(file=io.StringIO(), width=10_000, markup=False, color_system=None)
  console.print(table)
  return console.file.getvalue().rstrip()
