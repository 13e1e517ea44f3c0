"""A sweep by its command: its members, its files, what is frozen, what goes on."""

import csv
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from running import SMOKE, reached, values, wait_for

from vaejax.cli.main import main
from vaejax.core import stack
from vaejax.errors import UserError
from vaejax.runs import sweep_files
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
  # Rounding apart, where members are thousands of times as far from each other.
  np.testing.assert_allclose(members[3], one, rtol=1e-5, atol=2e-6)
  assert min(np.abs(members[k] - one).max() for k in range(3)) > 1e-3
  (found,) = [row for row in table(swept / 'results.csv') if row['member'] == '3']
  alone = json.loads((tmp_path / 'one' / 'evaluation.json').read_text())
  for name in ('elbo', 'kl', 'recon', 'loss'):
    assert float(found[name]) == pytest.approx(alone[name]['value'], rel=1e-4)


def test_what_a_sweep_leaves(swept):
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
  assert [row['hyper.lr'] for row in settings] == ['1e-4', '2e-4']  # nothing is chosen by test
  for row in settings:
    elbos = [float(r['elbo']) for r in results if r['hyper.lr'] == row['hyper.lr']]
    assert float(row['elbo']) == pytest.approx(np.mean(elbos))
    assert float(row['elbo_error']) == pytest.approx(np.std(elbos, ddof=1) / np.sqrt(2))
  page = (swept / 'report.html').read_text()
  assert page.count('<polyline') >= 8 and 'lr=2e-4' in page and '±' in page


def test_verbs_take_a_member(command, swept, tmp_path):
  folder = tmp_path / 'run'
  shutil.copytree(swept, folder)
  status, shown, _ = command('sample', f'--workdir={folder}', '--member=2', '--n=4')
  assert status == 0 and shown.strip() == str(folder / 'members' / '2' / 'samples.png')
  assert command('evaluate', f'--workdir={folder}', '--member=2')[0] == 0
  found = json.loads((folder / 'members' / '2' / 'evaluation.json').read_text())
  assert found['elbo']['value'] == pytest.approx(float(table(folder / 'results.csv')[2]['elbo']))
  # A pure restoring changes nothing of the sweep.
  assert not (folder / 'evaluation.json').exists()


@pytest.mark.parametrize(
  'words, told',
  [
    (('sample',), 'contains a sweep. Choose a member from 0 to 3'),
    (('evaluate', '--member=4'), 'has no member 4. Choose a member from 0 to 3'),
    (('sample', '--member=-1'), 'is not a whole number'),
    (('train', *PLAIN), 'holds a sweep: go on with it by sweep'),
    (
      ('sweep', *PLAIN, '--grid', 'seed=0:2'),
      'holds a sweep of other members (4 of seed, hyper.lr',
    ),
    (('sweep', *PLAIN, *AXES, '--group=1'), 'the sweep has 1, it takes 0 to 0'),
    (
      ('sweep', *PLAIN, *AXES, '--config.hyper.beta=3'),
      'other members (member 0: seed=0, beta=1, capacity=0, free_bits=0, lr=0.0001; now member 0: '
      'seed=0, beta=3,',
    ),
    (('train', *PLAIN, 'stacks/0'), 'is a part of the sweep in '),
    (('sweep', *PLAIN, *AXES, '--config.batch_size=8'), 'holds a run of another config'),
  ],
)
def test_mistakes_are_one_line_and_change_nothing(command, swept, words, told):
  before = {p: p.stat().st_mtime_ns for p in swept.rglob('*') if p.name != '.lock' and p.is_file()}
  *words, below = words if words[-1] == 'stacks/0' else (*words, '.')
  status, _, lines = command(*words, f'--workdir={swept / below}')
  assert status == 2 and told in lines[-1] and 'Traceback' not in ' '.join(lines)
  kept = ('results.json', 'config.json')
  for path, time in before.items():
    assert path.exists() and (path.name not in kept or path.stat().st_mtime_ns == time)


def test_a_sweep_that_cannot_be_creates_nothing(command, tmp_path):
  for words, told in (
    ((SMOKE,), 'one axis at least'),
    ((SMOKE, '--grid', 'seed=0:3', '--mesh=sweep:2'), 'does not divide the 3 members'),
    ((SMOKE, '--grid', 'model.activation=relu,rellu'), "'rellu'"),
    ((SMOKE, '--grid', 'data.name=digits,dgits'), 'dgits'),
  ):
    status, _, lines = command('sweep', *words, f'--workdir={tmp_path / "run"}')
    assert status == 2 and told in lines[-1] and not (tmp_path / 'run').exists(), lines


def test_a_member_that_is_no_number_is_frozen_and_the_others_go_on(command, tmp_path, swept):
  words = '--grid', 'seed=0:2', '--grid', 'lr=1e-4,1e30'
  status, _, lines = command('sweep', *PLAIN, *words, f'--workdir={tmp_path}')
  told = [line for line in lines if 'frozen' in line]
  assert (
    status == 0 and len(told) == 2 and 'member 1 (seed=0, ' in told[0] and 'lr=1e+30' in told[0]
  )
  found = table(tmp_path / 'results.csv')
  assert [row['frozen'] for row in found] == ['0', '1', '0', '1']
  assert int(found[1]['step']) < 10 == int(found[0]['step'])
  # It can be looked at where it was, and the others are as they are without it.
  run = open_run(tmp_path, print, member=1)
  assert int(run.state.step) == int(found[1]['step']) and np.isfinite(weights(tmp_path, 1)).all()
  np.testing.assert_allclose(weights(tmp_path, 0), weights(swept, 0), rtol=1e-5, atol=2e-6)
  assert table(tmp_path / 'table.csv')[-1]['frozen'] == '2'
  status, _, lines = command('sample', f'--workdir={tmp_path}', '--member=1', '--n=2')
  assert status == 0 and lines[-1].startswith(f'member 1 was frozen at step {found[1]["step"]}')


@pytest.mark.slow
def test_a_stack_of_which_all_are_frozen_does_not_end_the_sweep(command, tmp_path):
  words = 'sweep', *PLAIN, '--slice=1', '--grid', 'lr=1e30,1e-4', f'--workdir={tmp_path / "a"}'
  status, shown, lines = command(*words)
  assert status == 0 and 'frozen where it was before, as all are now' in ' '.join(lines)
  found = table(tmp_path / 'a' / 'results.csv')
  assert [row['frozen'] for row in found] == ['1', '0'] and '1e-4' in shown.splitlines()[3]
  before = {path: path.read_bytes() for path in tmp_path.rglob('*.csv')}
  assert command(*words)[0] == 0 and all(path.read_bytes() == before[path] for path in before)
  assert int(open_run(tmp_path / 'a', print, member=0).state.step) == int(found[0]['step'])
  # With a boundary at every step, some of which come when all are frozen.
  words = [f'--config.{name}=1' for name in ('eval.every', 'eval.log_every', 'checkpoint.every')]
  words += '--grid', 'lr=8e-3,1e30', f'--workdir={tmp_path / "b"}'
  status, _, lines = command('sweep', *PLAIN, *words)
  assert status == 1 and lines[-1].startswith('error: every member was frozen, where ')
  assert [row['frozen'] for row in table(tmp_path / 'b' / 'results.csv')] == ['1', '1']


def test_a_member_that_was_not_trained_yet(command, tmp_path):
  words = 'sweep', *PLAIN, '--grid', 'model.latents=4,3', '--group=1', f'--workdir={tmp_path}'
  status, shown, _ = command(*words)
  assert status == 0 and f'sample --workdir={tmp_path} --member=1' in shown
  assert ' first' not in shown.splitlines()[0]
  status, _, lines = command('sample', f'--workdir={tmp_path}', '--member=0')
  assert status == 2 and lines[-1].endswith(
    'member 0 is not trained yet: go on with the sweep first'
  )


@pytest.mark.slow
def test_the_best_of_a_member_is_its_own(command, tmp_path):
  """One of them gets better to the end, and one is best at once, and frozen then."""
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
def test_what_is_no_number_out_of_sight_of_the_loss_freezes_its_member_alone(command, tmp_path):
  """A step so large that no loss is seen of it, and moments that overflow."""
  words = '--grid', 'lr=1e-4,4e37', f'--workdir={tmp_path / "a"}'
  status, _, lines = command('sweep', *PLAIN, *words)
  assert status == 0 and sum('member 1 (seed=0, ' in line for line in lines) == 1, lines
  assert [row['frozen'] for row in table(tmp_path / 'a' / 'results.csv')] == ['0', '1']
  words = '--config.model.likelihood=gaussian', '--grid', 'lr=1e-3,1e3'
  status, _, lines = command('sweep', SMOKE, *words, f'--workdir={tmp_path / "b"}')
  assert status == 0 and not any('member 0 ' in line for line in lines), lines
  assert table(tmp_path / 'b' / 'results.csv')[0]['frozen'] == '0'


@pytest.mark.slow
def test_slices_and_groups_are_the_same_members(command, swept, tmp_path):
  status, _, lines = command('sweep', *PLAIN, *AXES, '--slice=3', f'--workdir={tmp_path / "a"}')
  assert status == 0 and sum('stack ' in line for line in lines) == 2
  for member in range(4):
    same = weights(tmp_path / 'a', member), weights(swept, member)
    np.testing.assert_allclose(*same, rtol=1e-5, atol=2e-6)
  # Groups are other programs, which may be jobs of their own, in any order.
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
def test_a_sweep_goes_on_bit_for_bit(launch, tmp_path):
  """By SIGTERM in the middle of a row, and with a member that is frozen before it."""
  steps = ('--config.schedule.lr=constant', '--config.steps=400')
  words = ('sweep', SMOKE, *steps, '--grid', 'seed=0:2', '--grid', 'lr=1e-3,1e30')
  assert launch(*words, f'--workdir={tmp_path / "whole"}').status == 0
  process = launch.start(*words, f'--workdir={tmp_path / "cut"}')
  own = tmp_path / 'cut' / 'stacks' / '0'
  wait_for(lambda: max(reached(own), default=0) >= 30 or process.poll() is not None)
  process.send_signal(signal.SIGTERM)
  result = launch.end(process)
  assert result.status == 143, result.err
  assert '<polyline' in (tmp_path / 'cut' / 'report.html').read_text()
  result = launch(*words, f'--workdir={tmp_path / "cut"}')
  assert result.status == 0 and 'resuming at step' in result.err
  assert 'is frozen where' not in result.err  # that was told before
  a, b = (values(tmp_path / name / 'stacks' / '0', 400) for name in ('whole', 'cut'))
  assert a.keys() == b.keys() and all(a[k].tobytes() == b[k].tobytes() for k in a)
  kept = [table(tmp_path / name / 'results.csv') for name in ('whole', 'cut')]
  assert kept[0] == kept[1]


def test_a_stack_that_was_torn_is_told_of(swept, tmp_path):
  folder = tmp_path / 'run'
  shutil.copytree(swept, folder)
  for text in ('{}', '[]', '{"values": [{"seed": "0"}], "stacks": [[1]]}', '{"values": 3}'):
    (folder / 'sweep.json').write_text(text)
    with pytest.raises(UserError, match='is not that of a sweep'):
      sweep_files.read_sweep(folder)


def test_results_that_were_torn_are_told_of(swept, tmp_path):
  folder = tmp_path / 'run'
  shutil.copytree(swept, folder)
  path = folder / 'stacks' / '0' / 'results.json'
  whole = json.loads(path.read_text())
  spoilt = [[], {}, {'members': [7]}, {'members': 3}]
  for name, value in (('member', 7), ('step', '1'), ('frozen', 'x'), ('values', {'elbo': 'x'})):
    spoilt.append({'members': [{**whole['members'][0], name: value}]})
  for saved in spoilt:
    path.write_text(json.dumps(saved))
    with pytest.raises(UserError, match='is not that of a stack'):
      summary.gather(folder)


def test_settings_are_ordered_by_what_the_config_calls_best():
  values = [{'seed': s, 'hyper.beta': b} for b in '12' for s in '01']
  results = {
    k: {'member': k, 'step': 10, 'frozen': k == 3, 'values': {'loss': float(k), 'elbo': v}}
    for k, v in enumerate((1.0, 3.0, 7.0, 99.0))
  }
  for best, order in (('elbo', ['2', '1']), ('-elbo', ['1', '2']), ('-loss', ['1', '2'])):
    found = summary.grouped(values, results, best)
    assert [one['fields']['hyper.beta'] for one in found] == order
  assert found[0]['values']['elbo'] == [1.0, 3.0] and found[1]['values']['elbo'] == [7.0]
  assert found[1]['frozen'] == 1


def test_a_frozen_step_is_read_as_it_was():
  import jax.numpy as jnp

  from vaejax.types import State

  state = State(jnp.array([7, ~3, ~0]), jnp.zeros(3), jnp.zeros(3), {}, None, {})
  assert stack.current_step(state) == 7 and stack.frozen_members(state) == {1, 2}
  assert [int(stack.member_state(state, k).step) for k in range(3)] == [7, 3, 0]
