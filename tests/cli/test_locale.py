"""Locales without UTF-8, output that takes ASCII alone, and names that are not ASCII."""

import ast
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from running import SMOKE

from vaejax.reporting.lines import accept_any_text

ROOT = Path(__file__).parents[2]
ASCII = {'LC_ALL': 'C', 'PYTHONUTF8': '0', 'PYTHONCOERCECLOCALE': '0'}
NAME = 'répertoire'


def python(*words, **environment):
  """A finished process of Python; its output as bytes."""
  command = [sys.executable, *words]
  kept = {k: v for k, v in os.environ.items() if k not in ('LC_ALL', 'LANG', 'PYTHONUTF8')}
  return subprocess.run(command, cwd=ROOT, env=kept | environment, capture_output=True, check=False)


@pytest.mark.parametrize('environment', [ASCII, {'LC_ALL': 'POSIX'}], ids=['C', 'POSIX'])
def test_a_workdir_of_any_name(tmp_path, environment):
  run = os.path.join(os.fsencode(tmp_path), NAME.encode())
  trained = python('launch.py', 'train', SMOKE, b'--workdir=' + run, **environment)
  assert trained.returncode == 0, trained.stderr.decode()
  assert NAME.encode() in trained.stdout
  for verb in (b'evaluate', b'sample'):
    done = python('launch.py', verb, b'--workdir=' + run, **environment)
    assert done.returncode == 0, done.stderr.decode()
  assert {'evaluation.json', 'samples.png'} <= {path.name for path in (tmp_path / NAME).iterdir()}


def test_a_name_that_is_not_utf_8(tmp_path):
  workdir = b'--workdir=' + os.fsencode(tmp_path) + NAME.encode('latin-1')
  done = python('launch.py', 'train', SMOKE, workdir, **ASCII)
  assert done.returncode == 2 and done.stderr.count(b'\n') == 1
  assert b'is not UTF-8. Rename the folder' in done.stderr and not any(tmp_path.iterdir())


def test_python_says_what_the_locale_lacks(tmp_path):
  code = f'import vaejax; vaejax.train("configs/vae.py:smoke", "{tmp_path}/" + "r\\u00e9pertoire")'
  done = python('-c', code, **ASCII)
  assert b'needs a locale with UTF-8, but this one has ascii. Set PYTHONUTF8=1' in done.stderr
  code = code.replace('train("configs/vae.py:smoke", ', 'load(')
  assert b'Set PYTHONUTF8=1' in python('-c', code, **ASCII).stderr


def test_output_of_ascii_alone(copied):
  words = (
    'launch.py',
    'evaluate',
    f'--workdir={copied}',
    '--evals=nll',
    '--config.eval.nll.samples=2',
  )
  plain = python(*words, PYTHONIOENCODING='ascii', **ASCII)
  assert plain.returncode == 0, plain.stderr.decode()
  assert b' +- ' in plain.stdout and plain.stdout.isascii()
  assert plain.stdout.decode() == python(*words).stdout.decode().replace('±', '+-')


@pytest.mark.parametrize(
  ('encoding', 'expected'),
  [('ascii', 'a +- 1 - r\\xe9 \\u0416 \\udce9'), ('latin-1', 'a ± 1 - ré \\u0416 \\udce9')],
)
def test_what_cannot_be_encoded_is_written_plainly(encoding, expected):
  buffer = io.BytesIO()
  stream = io.TextIOWrapper(buffer, encoding=encoding)
  accept_any_text(stream, io.StringIO(), None)
  print('a ± 1 – ré Ж \udce9', end='', file=stream, flush=True)
  assert buffer.getvalue().decode(encoding) == expected


def test_all_files_of_text_name_their_encoding():
  for path in [
    ROOT / 'launch.py',
    *(ROOT / 'vaejax').rglob('*.py'),
    *(ROOT / 'configs').glob('*.py'),
  ]:
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
      if not isinstance(node, ast.Call):
        continue
      name = getattr(node.func, 'attr', getattr(node.func, 'id', ''))
      is_open = isinstance(node.func, ast.Name) and name == 'open'
      texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
      binary = any(isinstance(text, str) and 'b' in text for text in texts)
      encoded = any(keyword.arg == 'encoding' for keyword in node.keywords)
      if is_open or name in ('read_text', 'write_text'):
        assert binary or encoded, f'{path}:{node.lineno}'
