"""A workdir that may only be read is sampled, evaluated, encoded and loaded, as another user."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from running import HANGS

ROOT = Path(__file__).parents[2]
NOBODY = '65534'


@pytest.fixture(scope='module')
def place(finished):
  """A folder that anybody may read and nobody but its owner may write, with a finished run, and a
  folder 'out' that anybody may write."""
  folder = Path(tempfile.mkdtemp(prefix='vaejax-read-only-'))
  shutil.copytree(finished, folder / 'run')
  (folder / 'run' / '.lock').unlink()
  (folder / 'out').mkdir()
  for path in [folder, *folder.rglob('*')]:
    path.chmod(0o555 if path.is_dir() else 0o444)
  (folder / 'out').chmod(0o777)
  yield folder
  for path in [folder, *folder.rglob('*')]:
    path.chmod(0o755)
  shutil.rmtree(folder)


@pytest.fixture
def as_reader(place):
  """as_reader(*words) -> the finished process of `python *words`, which may not write the run."""
  prefix = []
  if os.geteuid() == 0:  # root may write anything
    if not shutil.which('setpriv'):
      pytest.skip('root may write anything, and there is no setpriv to become another user')
    prefix = ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups']
  home = place / 'out'
  environment = os.environ | {
    'XDG_CACHE_HOME': str(home / 'cache'),
    'JAX_COMPILATION_CACHE_DIR': str(home / 'compiled'),
    'HOME': str(home),
    'TMPDIR': str(home),
    'PYTHONPATH': str(ROOT),
    'PYTHONDONTWRITEBYTECODE': '1',
  }
  environment.pop('XLA_FLAGS', None)

  def as_reader(*words):
    command = [*prefix, sys.executable, *map(str, words)]
    options = {'capture_output': True, 'text': True, 'timeout': HANGS, 'check': False}
    result = subprocess.run(command, cwd=place, env=environment, **options)
    if 'Permission denied' in result.stderr and str(ROOT) in result.stderr:
      pytest.skip('another user may not read this checkout')
    return result

  if as_reader('-c', 'import vaejax.errors').returncode:
    pytest.skip('another user may not run this Python')
  assert as_reader('-c', 'open("run/x", "w")').returncode
  return as_reader


def listing(folder):
  return sorted((str(path), path.stat().st_mtime_ns) for path in folder.rglob('*'))


# Several command lines in one process, because starting takes longest: their statuses and outputs.
COMMANDS = """
import contextlib, io, json, sys
from vaejax.cli.main import main

for words in json.loads(sys.argv[1]):
  out, err = io.StringIO(), io.StringIO()
  with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
    status = main(words)
  print(json.dumps([status, out.getvalue(), err.getvalue()]))
"""


def test_every_verb_that_reads_a_run(as_reader, place):
  before, files = listing(place / 'run'), {'sample': 'x.png', 'encode': 'x.npz'}
  files['reconstruct'] = 'y.png'
  lines = [['evaluate', '--evals=elbo'], *([verb, f'--out=out/{x}'] for verb, x in files.items())]
  lines += [[verb] for verb in (*files, 'train')]
  done = as_reader('-c', COMMANDS, json.dumps([[*line, '--workdir=run'] for line in lines]))
  assert done.returncode == 0, done.stderr
  (status, out, err), *results = map(json.loads, done.stdout.splitlines())
  assert status == 0 and ' elbo -' in out and 'recorded' not in out
  assert err.splitlines()[-1] == 'not recorded: run cannot be written (Permission denied)'
  for name in files.values():
    status, _, err = results.pop(0)
    assert status == 0 and (place / 'out' / name).is_file(), err
  for _ in files:
    status, _, err = results.pop(0)
    assert status == 2 and err.startswith('error: cannot write run/') and '--out=FILE' in err
    assert err.count('\n') == 1
  ((status, _, err),) = results
  (line,) = [x for x in err.splitlines() if x.startswith('error')]
  assert status == 2 and 'cannot write to the workdir run' in line
  assert listing(place / 'run') == before


def test_from_python(as_reader):
  code = """
import warnings, vaejax
assert vaejax.load('run').sample(2).shape == (2, 8, 8, 1)
with warnings.catch_warnings(record=True) as caught:
  warnings.simplefilter('always')
  values = vaejax.evaluate('run', ['elbo'])
assert values['elbo'][0] < 0
assert [w.category for w in caught if 'not recorded' in str(w.message)] == [UserWarning], caught
"""
  done = as_reader('-c', code)
  assert done.returncode == 0, done.stderr
