"""Evaluating a whole sweep: each member as it would be alone, in one pass."""

import csv
import json
import shutil
from pathlib import Path

import pytest
from running import SMOKE

import vaejax
from vaejax.cli.main import main

ROOT = Path(__file__).parent.parent.parent
WORDS = '--evals=elbo,nll', '--config.eval.nll.samples=3'


@pytest.fixture(scope='module')
def swept(tmp_path_factory):
  """The workdir of four members in two stacks, of which the last one is frozen; to be copied."""
  folder = tmp_path_factory.mktemp('swept') / 'run'
  words = '--config.steps=6', '--config.eval.every=3', '--config.checkpoint.every=3'
  words += '--config.checkpoint.keep=9', '--config.checkpoint.best=elbo'
  words += '--config.data.validation=0.1', '--slice=2'
  axes = '--zip', 'lr=1e-4,2e-4,1e-3,1e30', '--zip', 'seed=0,1,0,1'
  with pytest.MonkeyPatch.context() as patch:
    patch.chdir(ROOT)
    assert main(['sweep', SMOKE, *words, *axes, f'--workdir={folder}']) == 0
  return folder


@pytest.fixture
def folder(swept, tmp_path, monkeypatch):
  """A copy of it, to be changed."""
  monkeypatch.chdir(ROOT)
  return Path(shutil.copytree(swept, tmp_path / 'run'))


def read(path: Path):
  return json.loads(path.read_text())


def table(path: Path) -> list[dict]:
  return list(csv.DictReader(path.read_text().splitlines()))


def test_members_have_the_values_of_single_evaluations(folder, capsys):
  assert main(['evaluate', f'--workdir={folder}', *WORDS, '--seed=2']) == 0
  shown = capsys.readouterr()
  assert '1 frozen member is left out' in shown.err and 'nll' in shown.out
  together = {k: read(folder / f'members/{k}/evaluation.json') for k in range(3)}
  assert not (folder / 'members' / '3').exists()
  for k, values in together.items():
    shutil.rmtree(folder / 'members' / str(k))
    words = f'--workdir={folder}', f'--member={k}', *WORDS, '--seed=2'
    assert main(['evaluate', *words]) == 0
    alone = read(folder / f'members/{k}/evaluation.json')
    assert alone.keys() == values.keys() and {'elbo', 'nll'} <= values.keys()
    for name, one in alone.items():
      numbers = 'value', 'error', 'draws_error', 'note'  # notes have numbers in words
      protocol = {field: x for field, x in one.items() if field not in numbers}
      assert protocol == {field: values[name][field] for field in protocol}
      assert values[name]['value'] == pytest.approx(one['value'], rel=1e-4, abs=1e-4)
      if one['error'] is not None:
        assert values[name]['error'] == pytest.approx(one['error'], rel=1e-3, abs=1e-4)
  assert len({values['nll']['value'] for values in together.values()}) == 3


def test_values_are_added_to_the_tables_and_stay(folder):
  before = table(folder / 'results.csv')
  assert 'nll' not in before[0]
  values = vaejax.evaluate(folder, ['nll'], settings={'nll.samples': 3})
  assert values.keys() == {0, 1, 2} and 'elbo' not in values[0]
  rows = table(folder / 'results.csv')
  for old, new in zip(before, rows, strict=True):
    assert new == new | old  # what was there stays
  for number, named in values.items():
    assert float(rows[number]['nll']) == pytest.approx(named['nll'].value)
    assert float(rows[number]['nll_error']) == pytest.approx(named['nll'].error)
  assert rows[3]['nll'] == '' and rows[3]['frozen'] == '1'
  assert [row['nll'] != '' for row in table(folder / 'table.csv')] == [True, True, True, False]
  # A finished sweep that is started again, and values of other splits, leave them alone.
  vaejax.evaluate(folder, ['elbo'], split='train')
  rows = table(folder / 'results.csv')
  assert rows[0]['train/elbo'] != rows[0]['elbo'] == before[0]['elbo']
  assert float(rows[1]['nll']) == pytest.approx(values[1]['nll'].value)


def test_a_member_that_cannot_be_written_does_not_cost_the_values_of_the_others(folder, capsys):
  (folder / 'members').mkdir(exist_ok=True)
  (folder / 'members' / '0').write_text('not a folder')
  assert main(['evaluate', f'--workdir={folder}', *WORDS]) == 1
  assert 'not all recorded' in capsys.readouterr().err
  for number in (1, 2):  # of the same stack, and of another one
    assert 'nll' in read(folder / f'members/{number}/evaluation.json')
  rows = table(folder / 'results.csv')
  assert all(rows[number]['nll'] for number in range(3))


def test_values_of_a_latent_dimension_stay_with_their_members(folder, capsys):
  with open(folder / 'stacks' / '0' / 'metrics.jsonl', 'a') as log:  # as if tested in training
    row = {'step': 6, 'split': 'test', 'seconds': 1.0, 'member': 0, 'kl_dim_0': 2.0}
    log.write(json.dumps(row | {'active_units': 3}) + '\n')
  words = f'--workdir={folder}', '--evals=latent'
  assert main(['evaluate', *words]) == 0
  shown = capsys.readouterr().out
  assert 'active_units' in shown and 'kl_dim_' not in shown
  assert 'kl_dim_0' in read(folder / 'members/1/evaluation.json')
  assert 'unordered' not in read(folder / 'members/1/evaluation.json')['kl_dim_0']
  assert table(folder / 'results.csv')[1]['kl_dim_0']
  assert 'active_units' in table(folder / 'table.csv')[0]
  assert 'kl_dim_0' not in table(folder / 'table.csv')[0]
  page = folder.parent / 'page.html'
  assert main(['report', str(folder), f'--out={page}']) == 0
  for path in (page, folder / 'report.html'):
    assert 'active_units' in path.read_text() and 'kl_dim_0' not in path.read_text()


def test_a_checkpoint_of_other_steps_does_not_change_the_tables(folder):
  before = (folder / 'results.csv').read_bytes()
  values = vaejax.evaluate(folder, ['elbo'], checkpoint=3)
  assert (folder / 'results.csv').read_bytes() == before
  assert read(folder / 'members/1/evaluation.json')['elbo']['step'] == 3
  assert values[1]['elbo'].value != pytest.approx(float(table(folder / 'results.csv')[1]['elbo']))


def test_the_best_of_each_member(folder):
  """The best checkpoints of the members of a stack may be of different steps."""
  stack = folder / 'stacks' / '0' / 'checkpoints'
  steps = sorted(int(path.name) for path in stack.iterdir())
  assert steps == [3, 6]
  for step, best in ((3, 0), (6, 1)):  # member 0 is made to be best at step 3, member 1 at step 6
    path = stack / str(step) / 'meta' / 'metadata'
    meta = read(path)
    for place, metrics in enumerate(meta['metrics']):
      metrics['elbo'] = 1.0 if place == best else 0.0
    path.write_text(json.dumps(meta))
  values = vaejax.evaluate(folder, ['elbo'], checkpoint='best')
  recorded = [read(folder / f'members/{k}/evaluation.json')['elbo'] for k in range(2)]
  assert [r['step'] for r in recorded] == [3, 6]
  at_3, at_6 = (vaejax.evaluate(folder, ['elbo'], checkpoint=step) for step in (3, 6))
  assert values[0]['elbo'].value == pytest.approx(at_3[0]['elbo'].value)
  assert values[1]['elbo'].value == pytest.approx(at_6[1]['elbo'].value)


def test_an_eval_that_does_not_fit(folder, capsys):
  assert main(['evaluate', f'--workdir={folder}', '--evals=elbo,style']) == 1
  shown = capsys.readouterr()
  assert shown.err.count('style is skipped') == 1 and 'elbo' in shown.out
  assert main(['evaluate', f'--workdir={folder}', '--evals=style']) == 2
  assert 'style is skipped' in capsys.readouterr().err
  with pytest.raises(vaejax.UserError, match="did you mean 'nll'"):
    vaejax.evaluate(folder, ['nil'])
