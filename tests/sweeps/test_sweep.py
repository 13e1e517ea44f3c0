"""A sweep by its command: its members, its files, frozen members, resuming."""

import csv
import json
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from running import NEVER, SMOKE, reached, values, wait_for

from vaejax.cli.main import main
from vaejax.core import stack
from vaejax.runs.trained import open_run
from vaejax.sweeps import summary

# Adam's first steps turn rounding into steps of full size: runs that are to be alike take SGD.
PLAIN = (SMOKE, '--config.optimizer.name=sgd', '--config.hyper.lr=1e-4', '--config.steps=10')
AXES = ('--grid', 'seed=0:2', '--grid', 'lr=1e-4,2e-4')


@pytest.fixture
def command(project, capsys):
  """Runs a command line here: exit status, stdout and the lines of stderr."""

  def command(*words):
    status = main(list(map(str, words)))
    shown = capsys.readouterr()
    return status, shown.out, shown.err.strip().splitlines()

  return command


@pytest.fixture(scope='module')
def swept(tmp_path_factory):
  """The workdir of four members, trained; to be copied and not to be changed."""
  folder = tmp_path_factory.mktemp('swept') / 'run'
  with pytest.MonkeyPatch.context() as patch:
    patch.chdir(Path(__file__).parent.parent.parent)
    assert main(['sweep', *PLAIN, *AXES, f'--workdir={folder}']) == 0
  return folder


def table(path: Path) -> list[dict]:
  return list(csv.DictReader(path.read_text().splitlines()))


def weights(folder, member=None):
  """All parameters of a run, or of a member, as one vector."""
  import jax

  run = open_run(folder, print, member=member)
  return np.concatenate([np.ravel(x) for x in jax.tree.leaves(run.state.variables.params)])


def test_a_member_is_the_single_run(command, swept, tmp_path):
  words = '--config.seed=1', '--config.hyper.lr=2e-4'
  assert command('train', *PLAIN, *words, f'--workdir={tmp_path / "one"}')[0] == 0
  one, members = weights(tmp_path / 'one'), [weights(swept, k) for k in range(4)]
  # Equal up to rounding; the distance between members is thousands of times larger.
  np.testing.assert_allclose(members[3], one, rtol=1e-5, atol=2e-6)
  assert min(np.abs(members[k] - one).max() for k in range(3)) > 1e-3
  (row,) = [row for row in table(swept / 'results.csv') if row['member'] == '3']
  alone = json.loads((tmp_path / 'one' / 'evaluation.json').read_text())
  for name in ('elbo', 'kl', 'recon', 'loss'):
    assert float(row[name]) == pytest.approx(alone[name]['value'], rel=1e-4)


def test_the_files_of_a_sweep(swept):
  members = table(swept / 'members.csv')
  assert [(m['member'], m['seed'], m['hyper.lr']) for m in members] == [
    ('0', '0', '1e-4'), ('1', '0', '2e-4'), ('2', '1', '1e-4'), ('3', '1', '2e-4'),
  ]  # fmt: skip
  rows = [json.loads(line) for line in (swept / 'metrics.jsonl').read_text().splitlines()]
  assert {(row['step'], row['split'], row['member']) for row in rows} == {
    (step, split, member)
    for step, split in ((5, 'train'), (10, 'train'), (10, 'test'))
    for member in range(4)
  }
  results, settings = table(swept / 'results.csv'), table(swept / 'table.csv')
  assert [row['hyper.lr'] for row in settings] == ['1e-4', '2e-4']  # the test split chooses nothing
  for row in settings:
    elbos = [float(r['elbo']) for r in results if r['hyper.lr'] == row['hyper.lr']]
    assert float(row['elbo']) == pytest.approx(np.mean(elbos))
    assert float(row['elbo_error']) == pytest.approx(np.std(elbos, ddof=1) / np.sqrt(2))
  page = (swept / 'report.html').read_text()
  assert page.count('<svg') >= 8 and 'lr=2e-4' in page and '±' in page


def test_commands_take_a_member(command, swept, tmp_path):
  folder = tmp_path / 'run'
  shutil.copytree(swept, folder)
  status, shown, _ = command('sample', f'--workdir={folder}', '--member=2', '--n=4')
  assert status == 0 and shown.strip() == str(folder / 'members' / '2' / 'samples.png')
  assert command('evaluate', f'--workdir={folder}', '--member=2')[0] == 0
  results = json.loads((folder / 'members' / '2' / 'evaluation.json').read_text())
  assert results['elbo']['value'] == pytest.approx(float(table(folder / 'results.csv')[2]['elbo']))
  # Evaluating a member changes nothing of the sweep.
  assert not (folder / 'evaluation.json').exists()


@pytest.mark.parametrize(
  'words, message',
  [
    (('sample',), 'contains a sweep. Choose a member from 0 to 3'),
    (('evaluate', '--member=4'), 'has no member 4. Choose a member from 0 to 3'),
    (('sample', '--member=-1'), 'is not a whole number'),
    (('train', *PLAIN), 'contains a sweep. Resume it with sweep'),
    (
      ('sweep', *PLAIN, '--grid', 'seed=0:2'),
      'different axes (4 members of seed, hyper.lr there, 2 members of seed here)',
    ),
    (('sweep', *PLAIN, *AXES, '--group=1'), '--group=1 does not exist. Choose 0 to 0'),
    (
      ('sweep', *PLAIN, *AXES, '--config.hyper.beta=3'),
      'other members (member 0: seed=0, beta=1, capacity=0, free_bits=0, lr=0.0001 there, '
      'member 0: seed=0, beta=3,',
    ),
    (('train', *PLAIN, 'stacks/0'), 'is part of the sweep in '),
    (('sweep', *PLAIN, *AXES, '--config.batch_size=8'), 'already contains a run with a different'),
  ],
)
def test_mistakes_are_one_line_and_change_nothing(command, swept, words, message):
  before = {p: p.stat().st_mtime_ns for p in swept.rglob('*') if p.name != '.lock' and p.is_file()}
  *words, below = words if words[-1] == 'stacks/0' else (*words, '.')
  status, _, lines = command(*words, f'--workdir={swept / below}')
  assert status == 2 and message in lines[-1] and 'Traceback' not in ' '.join(lines), lines
  kept = ('results.json', 'config.json')
  for path, time in before.items():
    assert path.exists() and (path.name not in kept or path.stat().st_mtime_ns == time)


def test_a_sweep_that_cannot_start_creates_nothing(command, tmp_path):
  for words, message in (
    ((SMOKE,), 'a sweep needs an axis'),
    ((SMOKE, '--grid', 'seed=0:3', '--mesh=sweep:2'), 'does not divide the 3 members'),
    ((SMOKE, '--grid', 'model.activation=relu,rellu'), "'rellu'"),
    ((SMOKE, '--grid', 'data.name=digits,dgits'), 'dgits'),
  ):
    status, _, lines = command('sweep', *words, f'--workdir={tmp_path / "run"}')
    assert status == 2 and message in lines[-1] and not (tmp_path / 'run').exists(), lines


def test_a_member_that_becomes_non_finite_is_frozen_and_the_others_go_on(command, tmp_path, swept):
  words = '--grid', 'seed=0:2', '--grid', 'lr=1e-4,1e30'
  status, _, lines = command('sweep', *PLAIN, *words, f'--workdir={tmp_path}')
  assert status == 0
  messages = [line for line in lines if 'frozen' in line]
  assert len(messages) == 2 and 'member 1: seed=0, ' in messages[0] and 'lr=1e+30' in messages[0]
  results = table(tmp_path / 'results.csv')
  assert [row['frozen'] for row in results] == ['0', '1', '0', '1']
  assert int(results[1]['step']) < 10 == int(results[0]['step'])
  # It can be restored where it was frozen, and the others are as without it.
  run = open_run(tmp_path, print, member=1)
  assert int(run.state.step) == int(results[1]['step']) and np.isfinite(weights(tmp_path, 1)).all()
  np.testing.assert_allclose(weights(tmp_path, 0), weights(swept, 0), rtol=1e-5, atol=2e-6)
  assert table(tmp_path / 'table.csv')[-1]['frozen'] == '2'
  status, _, lines = command('sample', f'--workdir={tmp_path}', '--member=1', '--n=2')
  assert status == 0 and lines[-1].startswith(f'member 1 was frozen at step {results[1]["step"]}')


@pytest.mark.slow
def test_a_stack_whose_members_are_all_frozen_does_not_end_the_sweep(command, tmp_path):
  words = 'sweep', *PLAIN, '--slice=1', '--grid', 'lr=1e30,1e-4', f'--workdir={tmp_path / "a"}'
  status, shown, lines = command(*words)
  assert status == 0 and 'all members are frozen now' in ' '.join(lines)
  results = table(tmp_path / 'a' / 'results.csv')
  assert [row['frozen'] for row in results] == ['1', '0'] and '1e-4' in shown.splitlines()[3]
  before = {path: path.read_bytes() for path in tmp_path.rglob('*.csv')}
  assert command(*words)[0] == 0 and all(path.read_bytes() == before[path] for path in before)
  assert int(open_run(tmp_path / 'a', print, member=0).state.step) == int(results[0]['step'])
  # With a boundary at every step, also at some after all are frozen.
  words = [f'--config.{name}=1' for name in ('eval.every', 'eval.log_every', 'checkpoint.every')]
  words += '--grid', 'lr=8e-3,1e30', f'--workdir={tmp_path / "b"}'
  status, _, lines = command('sweep', *PLAIN, *words)
  assert status == 1 and lines[-1].startswith('error: all members were frozen (see ')
  assert [row['frozen'] for row in table(tmp_path / 'b' / 'results.csv')] == ['1', '1']


def test_a_member_that_was_not_trained_yet(command, tmp_path):
  words = 'sweep', *PLAIN, '--grid', 'model.latents=4,3', '--group=1', f'--workdir={tmp_path}'
  status, shown, _ = command(*words)
  assert status == 0 and f'sample --workdir={tmp_path} --member=1' in shown
  assert ' first' not in shown.splitlines()[0]
  status, _, lines = command('sample', f'--workdir={tmp_path}', '--member=0')
  assert status == 2 and lines[-1].endswith('member 0 is not trained yet. Resume the sweep first')


@pytest.mark.slow
def test_the_best_of_a_member_is_its_own(command, tmp_path):
  """One gets better to the end, the other is best at once, and frozen then."""
  words = '--config.eval.every=2', '--config.checkpoint.best=elbo', '--config.checkpoint.keep=1'
  words += ('--config.data.validation=0.1',)
  words += '--config.schedule.lr=constant', '--grid', 'lr=1e-4,8e-3', f'--workdir={tmp_path}'
  assert command('sweep', *PLAIN, *words)[0] == 0
  rows = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
  for member, step in ((0, 10), (1, 2)):
    tests = [r for r in rows if (r['split'], r['member']) == ('validation', member) and r['elbo']]
    assert max(tests, key=lambda row: row['elbo'])['step'] == step
    run = open_run(tmp_path, print, 'best', member=member)
    assert int(run.state.step) == step


@pytest.mark.slow
def test_non_finite_values_that_the_loss_does_not_show_freeze_their_member_alone(command, tmp_path):
  """An update so large that no later loss is logged, and moments that overflow."""
  words = '--grid', 'lr=1e-4,4e37', f'--workdir={tmp_path / "a"}'
  status, _, lines = command('sweep', *PLAIN, *words)
  assert status == 0 and sum('member 1: seed=0, ' in line for line in lines) == 1, lines
  assert [row['frozen'] for row in table(tmp_path / 'a' / 'results.csv')] == ['0', '1']
  words = '--config.model.likelihood=gaussian', '--grid', 'lr=1e-3,1e3'
  status, _, lines = command('sweep', SMOKE, *words, f'--workdir={tmp_path / "b"}')
  assert status == 0 and not any('member 0:' in line for line in lines), lines
  assert table(tmp_path / 'b' / 'results.csv')[0]['frozen'] == '0'


@pytest.mark.slow
def test_slices_and_groups_train_the_same_members(command, swept, tmp_path):
  status, _, lines = command('sweep', *PLAIN, *AXES, '--slice=3', f'--workdir={tmp_path / "a"}')
  assert status == 0 and sum('stack ' in line for line in lines) == 2
  for member in range(4):
    same = weights(tmp_path / 'a', member), weights(swept, member)
    np.testing.assert_allclose(*same, rtol=1e-5, atol=2e-6)
  # Each group is a program, which may be a job of its own, in any order.
  words = 'sweep', *PLAIN, '--grid', 'model.latents=4,3', *AXES, f'--workdir={tmp_path / "b"}'
  for number in (1, 0):
    assert command(*words, f'--group={number}')[0] == 0
    assert len(table(tmp_path / 'b' / 'results.csv')) == 4 * (2 - number)
  assert open_run(swept, print, member=0).config.model.latents == 4
  members = table(tmp_path / 'b' / 'members.csv')
  assert [m['stack'] for m in members] == ['0'] * 4 + ['1'] * 4
  for member in range(4):
    same = weights(tmp_path / 'b', member), weights(swept, member)
    np.testing.assert_allclose(*same, rtol=1e-5, atol=2e-6)


@pytest.mark.slow
def test_a_sweep_resumes_bit_for_bit(launch, tmp_path):
  """After SIGTERM in the middle of a row, with a member that is frozen before."""
  constant = '--config.schedule.lr=constant'
  words = ('sweep', SMOKE, constant, '--grid', 'seed=0:2', '--grid', 'lr=1e-3,1e30')
  process = launch.start(*words, f'--config.steps={NEVER}', f'--workdir={tmp_path / "cut"}')
  own = tmp_path / 'cut' / 'stacks' / '0'
  wait_for(lambda: max(reached(own), default=0) >= 30 or process.poll() is not None)
  process.send_signal(signal.SIGTERM)
  result = launch.end(process)
  assert result.status == 143, result.err
  assert '<svg' in (tmp_path / 'cut' / 'report.html').read_text()
  steps = 20 + int(re.search(r'stopped by SIGTERM at step (\d+)', result.err)[1])
  words += (f'--config.steps={steps}',)
  assert launch(*words, f'--workdir={tmp_path / "full"}').status == 0
  result = launch(*words, f'--workdir={tmp_path / "cut"}')
  assert result.status == 0 and f'resuming at step {steps - 20} of {steps}' in result.err
  assert 'It is frozen' not in result.err  # printed before the stop
  a, b = (values(tmp_path / name / 'stacks' / '0', steps) for name in ('full', 'cut'))
  assert a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() for k in a)
  kept = [table(tmp_path / name / 'results.csv') for name in ('full', 'cut')]
  assert kept[0] == kept[1]


def test_settings_are_sorted_by_the_best_metric():
  values = [{'seed': s, 'hyper.beta': b} for b in '12' for s in '01']
  results = {
    k: {'member': k, 'step': 10, 'frozen': k == 3, 'values': {'loss': float(k), 'elbo': v}}
    for k, v in enumerate((1.0, 3.0, 7.0, 99.0))
  }
  names = ['loss', 'elbo', 'nll']
  for order, ascending, expected in (
    ('elbo', False, '21'), ('elbo', True, '12'), ('loss', True, '12'), ('', False, '12'),
  ):  # fmt: skip
    settings = summary.group_settings(values, results, names, order, ascending)
    assert ''.join(one.fields['hyper.beta'] for one in settings) == expected
  first, second = settings
  assert first.means['elbo'] == pytest.approx((2.0, 1.0)) and first.means['nll'] == (None, None)
  assert second.means['elbo'] == (7.0, None)  # the frozen member does not count
  assert (second.members, second.frozen) == ([2, 3], 1)


def test_the_printed_table_is_aligned_and_short():
  rows = [['[bold]', f'{10**i}', '–'] for i in range(summary.MAX_SHOWN + 2)]
  lines = summary.settings_text(['model.net', 'members', 'elbo'], rows).splitlines()
  assert len(lines) == 1 + summary.MAX_SHOWN + 1
  assert lines[-1] == '... and 2 more in table.csv'
  assert lines[0] == 'model.net   members  elbo' and lines[1] == '   [bold]         1     –'
  assert len(set(map(len, lines[:-1]))) == 1


def test_the_step_of_a_frozen_member_is_where_it_stopped():
  import jax.numpy as jnp

  from vaejax.types import State

  state = State(jnp.array([7, ~3, ~0]), jnp.zeros(3), jnp.zeros(3), {}, None, {})
  assert stack.current_step(state) == 7 and stack.frozen_members(state) == {1, 2}
  assert [int(stack.member_state(state, k).step) for k in range(3)] == [7, 3, 0]
