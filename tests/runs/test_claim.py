"""A start that failed before its first step claims nothing, whatever it left."""

import json
import shutil

import numpy as np
import pytest
from running import SMOKE, rows

import vaejax
from vaejax.cli.main import main
from vaejax.errors import UserError
from vaejax.runs import claim
from vaejax.training import train

SETTINGS = SMOKE.partition('=')[2]


def fail_before_a_step(monkeypatch, *words, error=None):
  """Runs a command that fails as its first batch is read."""

  error = error or OSError('a disk was unplugged')

  def no_steps(*_):
    raise error

  with monkeypatch.context() as patch:
    patch.setattr(train, 'run_steps', no_steps)
    if isinstance(error, UserError):
      assert main([*words]) == 2
    else:
      with pytest.raises(type(error)):
        main([*words])


def names(folder):
  return {path.name for path in folder.iterdir()}


def test_another_config_may_follow_a_start_without_a_step(project, tmp_path, monkeypatch, capsys):
  run = tmp_path / 'run'
  fail_before_a_step(monkeypatch, 'train', SMOKE, f'--workdir={run}')
  assert (run / 'config.json').exists() and not claim.is_claimed(run)
  assert main(['train', f'{SMOKE},latents=3', f'--workdir={run}']) == 0
  assert vaejax.load(run).config.model.latents == 3 and claim.is_claimed(run)
  assert main(['train', SMOKE, f'--workdir={run}']) == 2
  assert 'latents is 3 there' in capsys.readouterr().err


def test_a_mistake_at_the_first_batch_leaves_nothing(project, tmp_path, monkeypatch):
  run = tmp_path / 'run'
  error = UserError('x.png is damaged')
  fail_before_a_step(monkeypatch, 'train', SMOKE, f'--workdir={run}', error=error)
  assert names(run) == {'.lock'}


def test_other_data_may_follow_and_its_place_is_remembered(tmp_path):
  """Arrays of a start that was killed are no data of the run; its data_dir is a default."""
  run, config = tmp_path / 'run', vaejax.get_config(f'{SETTINGS},steps=4')
  x = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), dtype=np.uint8)
  vaejax.train(config, run, data={'train': x, 'test': x})
  killed = {'config.json', '.lock'}
  for path in run.iterdir():
    if path.name not in killed:
      shutil.rmtree(path) if path.is_dir() else path.unlink()
  vaejax.train(config, run, data={'train': x[:16], 'test': x})
  saved = json.loads((run / 'config.json').read_text())
  assert saved['data']['train']['rows'] == 16
  with pytest.raises(UserError):
    vaejax.train(config, run, data={'train': x, 'test': x})


@pytest.mark.parametrize('left', [b'', b'{"step": 3, "sp'])
def test_a_log_without_a_row_claims_nothing(finished, tmp_path, left):
  run = tmp_path / 'run'
  run.mkdir()
  shutil.copy(finished / 'config.json', run)
  (run / 'metrics.jsonl').write_bytes(left)
  (run / 'checkpoints' / '5.orbax-checkpoint-tmp').mkdir(parents=True)
  assert not claim.is_claimed(run)
  row = (finished / 'metrics.jsonl').read_bytes().splitlines(keepends=True)[0]
  (run / 'metrics.jsonl').write_bytes(row)
  assert claim.is_claimed(run)
  claim.clear(run)
  assert (run / 'config.json').exists()
  (run / 'metrics.jsonl').write_bytes(left)
  claim.clear(run)
  assert names(run) == set()


def test_a_checkpoint_alone_claims(finished, tmp_path):
  run = shutil.copytree(finished, tmp_path / 'run')
  for name in ('metrics.jsonl', 'evaluation.json', 'report.html'):
    (run / name).unlink()
  shutil.rmtree(run / 'images')
  assert claim.is_claimed(run)


def test_a_sweep_without_a_step_claims_nothing(project, tmp_path, monkeypatch, capsys):
  """Other axes, other stacks and a single run may follow; a sweep with steps stays."""
  folder = tmp_path / 'sweep'
  sweep = lambda *words: ('sweep', f'{SMOKE},steps=4', f'--workdir={folder}', *words)
  fail_before_a_step(monkeypatch, *sweep('--grid=seed=0:4'))
  fail_before_a_step(monkeypatch, *sweep('--grid=seed=0:4', '--slice=2'))
  assert json.loads((folder / 'sweep.json').read_text())['stacks'] == [[0, 1], [2, 3]]
  fail_before_a_step(monkeypatch, *sweep('--grid=seed=0:2', '--group=0'))
  assert len(json.loads((folder / 'sweep.json').read_text())['values']) == 2
  assert main([*sweep('--grid=beta=1,4')]) == 0
  assert main([*sweep('--grid=seed=0:2')]) == 2
  assert 'a sweep with different axes' in capsys.readouterr().err
  other = tmp_path / 'other'
  fail_before_a_step(
    monkeypatch, *sweep('--grid=seed=0:2')[:2], f'--workdir={other}', '--grid=seed=0:2'
  )
  assert main(['train', f'{SMOKE},steps=4', f'--workdir={other}']) == 0
  assert vaejax.load(other).step == 4 and not (other / 'sweep.json').exists()
  assert len(rows(other)) > 0
