"""Runs the cells of a notebook in this process, without Jupyter.

PYTHONPATH=. python tests/notebook.py .github/tour.ipynb     writes the outputs into the file
"""

import ast
import base64
import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Output(NamedTuple):
  """What a cell shows: what it printed, and its last value with the PNG that Jupyter shows of it,
  None for one without a picture."""

  text: str
  value: Any
  png: bytes | None


def code_cells(notebook: dict) -> list[dict]:
  return [cell for cell in notebook['cells'] if cell['cell_type'] == 'code']


def execute(notebook: dict, edit: Callable[[str], str] = lambda source: source) -> list[Output]:
  """The output of every code cell, run in order with one namespace. `edit` changes its source."""
  names, outputs = {'__name__': '__main__'}, []
  for number, cell in enumerate(code_cells(notebook), 1):
    tree = ast.parse(edit(''.join(cell['source'])), f'cell {number}')
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
      exec(compile(tree, f'cell {number}', 'exec'), names)
      value = last and eval(compile(ast.Expression(last.value), f'cell {number}', 'eval'), names)
    show = getattr(value, '_repr_png_', None)
    outputs.append(Output(text.getvalue(), value, show() if show else None))
  return outputs


def with_outputs(notebook: dict, outputs: list[Output]) -> dict:
  """The notebook with outputs in the form of nbformat 4."""
  for number, (cell, output) in enumerate(zip(code_cells(notebook), outputs, strict=True), 1):
    lines = lambda text: text.splitlines(keepends=True)
    cell['execution_count'], cell['outputs'] = number, []
    if output.text:
      cell['outputs'].append(
        {'output_type': 'stream', 'name': 'stdout', 'text': lines(output.text)}
      )
    if output.value is not None:
      data = {'text/plain': lines(repr(output.value))}
      if output.png:
        data = {'image/png': base64.b64encode(output.png).decode(), 'text/plain': ['<Result>']}
      result = {'output_type': 'execute_result', 'execution_count': number, 'metadata': {}}
      cell['outputs'].append({**result, 'data': data})
  return notebook


def main(path: Path) -> None:
  """Writes the outputs of a notebook, which is run in an empty folder, into its file."""
  path, notebook = path.absolute(), json.loads(path.read_text())
  with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    written = with_outputs(notebook, execute(notebook))
  path.write_text(json.dumps(written, indent=1, ensure_ascii=False) + os.linesep)


if __name__ == '__main__':
  main(Path(sys.argv[1]))
