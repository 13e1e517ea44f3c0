"""Evals by config: what runs while training, what decides which is best, what it is chosen by."""

import csv
import json
import shutil

import pytest
from running import rows

from vaejax.cli.main import main
from vaejax.runs.trained import open_run

SMOKE = 'configs/vae.py:digits,smoke'

# A value by hand, of rows, sums and a setting; its `made` counts traces.
TOY = """
import jax.numpy as jnp
import numpy as np
from vaejax.eval_type import Eval

SETTINGS, RANGES = {'scale': 2.0}, {'scale': (0, 10)}

def make(method, config, example):
  def look(variables, batch, key, hyper):
    (net,) = [variables.params['decoder']]
    size = sum(jnp.sum(jnp.abs(x)) for x in __import__('jax').tree.leaves(net))
    return batch['mask'].sum(), {'size': size * jnp.ones(batch['mask'].shape)}

  def finish(sums, rows):
    size, n = rows['test']['size'], float(sums['test'])
    assert len(size) == n
    return {'size': (float(size.mean()), None), 'twice': (config.eval.toy.scale * n, 0.5)}

  return Eval({'test': look}, finish, lambda: ['size', 'twice'], {'scale': config.eval.toy.scale})
"""


@pytest.fixture
def command(project, capsys, monkeypatch, tmp_path):
  """Runs a command line here: exit status, stdout and the lines of stderr. mylab.toy is an eval."""
  (tmp_path / 'lab' / 'mylab').mkdir(parents=True)
  (tmp_path / 'lab' / 'mylab' / '__init__.py').touch()
  (tmp_path / 'lab' / 'mylab' / 'toy.py').write_text(TOY)
  monkeypatch.syspath_prepend(tmp_path / 'lab')

  def command(*words):
    status = main(list(map(str, words)))
    shown = capsys.readouterr()
    return status, shown.out, shown.err.strip().splitlines()

  return command


def rows_of(folder, split):
  return [row for row in rows(folder) if row['split'] == split]


def test_an_eval_of_ones_own_is_logged_is_best_and_a_column(command, tmp_path):
  words = 'elbo+mylab.toy,validation=0.1,checkpoint.best=size,eval.toy.scale=3'
  axes = '--grid', 'seed=0:2', '--grid', 'lr=1e-3,1e-2'
  folder = tmp_path / 'sweep'
  status, shown, lines = command(
    'sweep', f'--config={SMOKE},evals={words}', *axes, f'--workdir={folder}'
  )
  assert status == 0, lines
  own = folder / 'stacks' / '0'
  seen = rows_of(own, 'validation')
  assert [row['step'] for row in seen] == [10] * 4 + [20] * 4
  assert {row['twice'] for row in seen} == {3.0 * 64}  # eval.size of the smoke run
  assert [row['twice'] for row in rows_of(own, 'test')] == [3.0 * 297] * 4
  with open(folder / 'table.csv') as file:
    table = list(csv.DictReader(file))
  assert {'size', 'twice', 'elbo', 'validation/size'} <= table[0].keys()
  sizes = [float(row['validation/size']) for row in table]
  assert 'largest validation/size first' in shown and sizes == sorted(sizes, reverse=True)
  # A member's values are those of the single run.
  alone = tmp_path / 'alone'
  words = f'--config={SMOKE},evals={words},seed=1,lr=1e-2'
  assert command('train', words, f'--workdir={alone}')[0] == 0
  (one,), (member,) = (
    rows_of(alone, 'test'),
    [r for r in rows_of(own, 'test') if r['member'] == 3],
  )
  for name in ('size', 'twice', 'elbo', 'bits_per_dim'):
    assert one[name] == pytest.approx(member[name], rel=2e-2 if name != 'twice' else 0)
  recorded = json.loads((alone / 'evaluation.json').read_text())
  assert (
    recorded['twice'].items() >= {'error': 0.5, 'scale': 3.0, 'split': 'test', 'n': 297}.items()
  )
  assert recorded['validation/size']['n'] == 64 and 'scale' not in recorded['elbo']
  assert int(open_run(alone, print, 'best').state.step) in (10, 20)
  status, shown, _ = command(
    'evaluate',
    f'--workdir={alone}',
    '--evals=mylab.toy',
    '--config.eval.toy.scale=1',
    '--split=validation',
  )
  assert status == 0 and 'twice 150.0000 ± 0.5000' in shown


def test_what_is_best_is_chosen_by_validation_alone(command, tmp_path):
  best = f'--config={SMOKE},checkpoint.best=elbo'
  status, _, lines = command('train', best, f'--workdir={tmp_path / "a"}')
  assert status == 2 and 'Hold rows out of train with data.validation=0.1' in lines[0]
  assert not (tmp_path / 'a').exists()
  held = best + ',validation=0.1,eval.size=0'
  status, _, lines = command('train', held, f'--workdir={tmp_path / "b"}')
  assert status == 0 and '1,350 images' in lines[0]
  found = [(row['step'], row['split']) for row in rows(tmp_path / 'b') if row['split'] != 'train']
  assert found == [(10, 'validation'), (20, 'validation'), (20, 'test')]
  before = rows(tmp_path / 'b')
  assert command('train', held, f'--workdir={tmp_path / "b"}')[0] == 0
  assert rows(tmp_path / 'b') == before


def test_evals_may_change_on_a_resume_and_the_last_row_has_them(command, finished, tmp_path):
  run = shutil.copytree(finished, tmp_path / 'run')
  words = f'--config={SMOKE},evals=elbo+mylab.toy+style'
  status, _, lines = command('train', words, f'--workdir={run}')
  assert status == 0
  assert lines[0].startswith('style is skipped: ')
  assert [row['split'] for row in rows(run)] == [row['split'] for row in rows(finished)]
  assert 'twice' in rows(run)[-1] and 'twice' not in rows(run)[-2]
  assert command('train', f'--config={SMOKE},evals=style', f'--workdir={run}')[0] == 2


def test_an_eval_with_too_few_rows_is_a_line_and_a_status(command, finished, tmp_path):
  run = shutil.copytree(finished, tmp_path / 'run')
  words = '--evals=elbo,nll,latent', '--split=test[:5]', '--config.eval.nll.images=3'
  status, shown, lines = command('evaluate', f'--workdir={run}', *words)
  line = 'latent is skipped: it needs 10 tested rows or more, but there are 5. Use a larger split'
  assert status == 1 and lines == [f'error: {line}']
  recorded = json.loads((run / 'evaluation.json').read_text())
  n = {name: recorded[f'test[:5]/{name}']['n'] for name in ('elbo', 'nll', 'nll_effective')}
  assert n == {'elbo': 5, 'nll': 3, 'nll_effective': 3} and 'elbo' in shown
  assert not any('latent' in name or 'active' in name for name in recorded)
  # If nothing can be recorded, it is a mistake.
  status, _, lines = command('evaluate', f'--workdir={run}', '--evals=latent', words[1])
  assert status == 2 and lines == [f'error: {line}']


@pytest.mark.parametrize('verb', ['train', 'sweep'])
def test_an_eval_with_too_few_rows_does_not_end_training(command, tmp_path, verb):
  folder, words = tmp_path / 'run', f'--config={SMOKE},evals=elbo+latent,eval.size=5'
  axis = ['--grid', 'seed=0:2'] if verb == 'sweep' else []
  status, _, lines = command(verb, words, *axis, f'--workdir={folder}')
  assert status == 0, lines
  assert [line for line in lines if 'latent' in line] == [
    'latent is skipped: it needs 10 tested rows or more, but there are 5. Use a larger split '
    '(on test)'
  ]
  *tests, last = rows_of(folder / 'stacks' / '0' if axis else folder, 'test')
  assert 'active_units' in last and not any(
    'active_units' in row for row in tests if 'final' not in row
  )
  if not axis:
    return
  few = command('evaluate', f'--workdir={folder}', '--evals=elbo,latent', '--split=test[:5]')
  assert few[0] == 1 and [line for line in few[2] if 'latent' in line] == few[2]
  saved = json.loads((folder / 'stacks' / '0' / 'results.json').read_text())['protocols']
  assert (saved['elbo']['n'], saved['test[:5]/elbo']['n']) == (297, 5)
  assert ': split test, n 297, ' in (folder / 'report.html').read_text()


@pytest.mark.slow
def test_an_extended_run_has_no_last_test_in_its_middle(command, tmp_path):
  whole, cut = tmp_path / 'whole', tmp_path / 'cut'
  for size in (0, 64):
    words = f'--config={SMOKE},eval.size={size},steps='
    for folder, steps in ((cut, 20), (cut, 40), (whole, 40)):
      assert command('train', f'{words}{steps}', f'--workdir={folder}{size}')[0] == 0
    a, b = (rows(f'{folder}{size}') for folder in (whole, cut))
    assert [(r['step'], r['split']) for r in a] == [(r['step'], r['split']) for r in b]
    assert a[-1]['split'] == 'test' and sum(row.get('final', False) for row in b) == (size > 0)


def test_settings_are_only_those_that_an_eval_has(command, tmp_path):
  for word, said in (
    (
      'evals=elbo+mylab.toy,eval.toy.scale=11',
      'eval.toy.scale=11.0 is out of range. Use 0 to 10',
    ),
    ('evals=elbo+mylab.toi', "unknown eval 'mylab.toi'"),
    ('eval.toi.scale=1', "unknown eval 'toi'"),
  ):
    status, _, lines = command('train', f'--config={SMOKE},{word}', f'--workdir={tmp_path / "x"}')
    assert status == 2 and said in lines[-1], lines
