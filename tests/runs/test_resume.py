"""What a resumed run may not change, and what to do instead."""

import json
import shutil

import pytest
from running import SMOKE

import vaejax
from vaejax.cli.main import main


def edit(run, *path, value):
  """Edits config.json by hand."""
  saved = json.loads((run / 'config.json').read_text())
  inner = saved
  for name in path[:-1]:
    inner = inner[name]
  inner[path[-1]] = value
  (run / 'config.json').write_text(json.dumps(saved))


def refused(capsys, *words) -> str:
  """The one line of a command that ends with status 2."""
  capsys.readouterr()
  assert main(list(map(str, words))) == 2
  *_, line = capsys.readouterr().err.splitlines()
  assert line.startswith('error: ')
  return line


@pytest.mark.parametrize(
  ('field', 'value', 'words'),
  [
    (('hyper', 'lr'), 0.5, 'hyper.lr is 0.5, but 0.001 in checkpoint 20'),
    (('seed',), 7, 'seed is 7, but another one in checkpoint 20'),
  ],
)
def test_a_config_that_was_edited_by_hand(finished, tmp_path, capsys, project, field, value, words):
  run = shutil.copytree(finished, tmp_path / 'run')
  edit(run, 'config', *field, value=value)
  before = (run / 'config.json').read_bytes()
  line = refused(capsys, 'train', f'--workdir={run}')
  assert f'{run}/config.json was edited: {words}' in line and f'init_from={run}' in line
  assert (run / 'config.json').read_bytes() == before


def test_members_that_were_edited_by_hand(tmp_path, capsys, project):
  words = ('sweep', f'{SMOKE},steps=4', f'--workdir={tmp_path / "s"}', '--grid=lr=1e-3,1e-4')
  assert main([*words]) == 0
  stack = tmp_path / 's' / 'stacks' / '0'
  for path in stack.rglob('*'):
    assert path.exists()
  edit(stack, 'config', 'hyper', 'lr', value=0.001)
  assert main([*words]) == 0  # nothing was changed


def test_a_new_learning_rate_is_a_warm_start(finished, tmp_path, capsys, project):
  run = shutil.copytree(finished, tmp_path / 'run')
  line = refused(capsys, 'train', f'{SMOKE},lr=1e-4', f'--workdir={run}')
  assert 'hyper.lr is 0.001 there, 0.0001 here' in line
  hint = line.rpartition(', where ')[2].split(' ')[0]
  assert hint == f'init_from={run}'
  words = (f'{SMOKE},lr=1e-4', f'--config.{hint}', f'--workdir={tmp_path / "warm"}')
  assert main(['train', *words]) == 0
  assert vaejax.load(tmp_path / 'warm').config.hyper.lr == 1e-4
