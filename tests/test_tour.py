"""The notebook in .github runs, and shows pictures."""

import json
import re
from pathlib import Path

from notebook import code_cells, execute, with_outputs

from vaejax.task_type import Result

TOUR = Path(__file__).parent.parent / '.github' / 'tour.ipynb'


def shorter(source: str) -> str:
  """A cell with runs of a few steps, and scores of a few rows."""
  return re.sub(r'--n=\d+', '--n=32', re.sub(r'steps=\d+', 'steps=20', source))


def test_the_tour_runs(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  notebook = json.loads(TOUR.read_text())
  outputs = execute(notebook, shorter)
  pictures = [output for output in outputs if isinstance(output.value, Result)]
  assert len(pictures) >= 4
  for output in pictures:
    assert output.png.startswith(b'\x89PNG')
  # What is committed shows the same: numbers, texts and pictures in the same cells.
  for cell, output in zip(code_cells(notebook), outputs, strict=True):
    kinds = [set(shown.get('data', {'text': ''})) for shown in cell['outputs']]
    expected = [{'text'}] * bool(output.text)
    if output.value is not None:
      expected.append({'text/plain', 'image/png'} if output.png else {'text/plain'})
    assert kinds == expected


def test_outputs_have_the_form_of_jupyter():
  source = "print('a')\nx = 2\nx + 1"
  cell = {'cell_type': 'code', 'source': source.splitlines(keepends=True), 'outputs': []}
  text = {'cell_type': 'markdown', 'source': ['none']}
  made = with_outputs({'cells': [text, cell]}, execute({'cells': [text, cell]}))
  stream, result = made['cells'][1]['outputs']
  assert stream == {'output_type': 'stream', 'name': 'stdout', 'text': ['a\n']}
  assert result['data'] == {'text/plain': ['3']} and made['cells'][1]['execution_count'] == 1
