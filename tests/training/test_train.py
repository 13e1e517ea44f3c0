import json
import shutil
import signal
import struct

import numpy as np
import pytest
from running import NEVER, SMOKE, assert_same_run, reached, rows, values, wait_for

from vaejax.cli.main import main
from vaejax.config.load import load_config
from vaejax.training import train
from vaejax.training.boundary import BoundaryHandler

PLAIN = '--config.schedule.lr=constant'


@pytest.fixture
def command(project, capsys):
  """Runs a command line here: exit status and the lines of its stderr."""

  def command(*words):
    status = main(list(map(str, words)))
    return status, capsys.readouterr().err.strip().splitlines()

  return command


def test_the_workdir_holds_what_it_should(finished):
  kept = {'checkpoints', 'config.json', 'evaluation.json', 'images', 'metrics.jsonl'}
  there = {path.name for path in finished.iterdir() if not path.name.startswith('.')}
  assert there == kept | {'report.html', 'tensorboard'}
  found = rows(finished)
  assert [(r['step'], r['split']) for r in found] == [
    (5, 'train'), (10, 'train'), (10, 'test'), (15, 'train'), (20, 'train'), (20, 'test'),
    (20, 'test'),
  ]  # fmt: skip
  for line in (finished / 'metrics.jsonl').read_text().splitlines():
    row = json.loads(line)
    wanted = {'step', 'split', 'seconds', 'recon', 'kl', 'elbo', 'loss'}
    wanted |= {'lr', 'steps_per_s'} if row['split'] == 'train' else {'bits_per_dim'}
    wanted |= {'final'} & row.keys()
    assert row.keys() == wanted and all(np.isfinite(row[k]) for k in wanted - {'split'})
    assert row['elbo'] == pytest.approx(-(row['recon'] + row['kl']), rel=1e-5)
  assert found[0]['elbo'] < found[-3]['elbo']  # it learns
  assert [row.get('final', False) for row in found] == [False] * 6 + [True]
  images = {path.name for path in (finished / 'images').iterdir()}
  kinds = ('reconstructions', 'samples')
  assert images == {f'{kind}_{step:08d}.png' for kind in kinds for step in (10, 20)}
  for image in (finished / 'images').iterdir():
    width, height = struct.unpack('>II', image.read_bytes()[16:24])
    assert width > 8 and height > 8
  evaluation = json.loads((finished / 'evaluation.json').read_text())
  assert {'elbo', 'recon', 'kl', 'loss'} <= evaluation.keys()
  wanted = {'split': 'test', 'n': 297, 'samples': 1, 'binarisation': 'none', 'seed': 0, 'step': 20}
  assert evaluation['elbo'].items() >= wanted.items()
  report = (finished / 'report.html').read_text()
  assert '<img' in report and 'http-equiv="refresh"' not in report
  assert sorted(p.name for p in (finished / 'checkpoints').iterdir()) == ['10', '20']
  assert any((finished / 'tensorboard').glob('*tfevents*'))


@pytest.mark.slow
def test_iwae_reports_its_bound(launch, tmp_path):
  result = launch('train', '--config=configs/iwae.py:digits,smoke', f'--workdir={tmp_path}')
  assert result.status == 0
  assert all(row['iwae'] >= row['elbo'] for row in rows(tmp_path))


def test_a_finished_run_says_so(finished, command, tmp_path):
  run = shutil.copytree(finished, tmp_path / 'run')
  status, lines = command('train', SMOKE, f'--workdir={run}')
  assert status == 0 and f'{run}: finished at step 20 of 20' in lines
  assert_same_run(finished, run, 20)


@pytest.mark.slow
def test_a_finished_run_is_extended_bit_for_bit(launch, command, tmp_path):
  """Without --config, with another `eval` and `checkpoint`, from the workdir alone."""
  short, long = tmp_path / 'short', tmp_path / 'long'
  steps = '--config.steps=40'
  assert launch('train', SMOKE, PLAIN, f'--workdir={short}').status == 0
  result = launch('train', f'--workdir={short}', steps, '--config.checkpoint.keep=3')
  assert result.status == 0 and 'resuming at step 20 of 40' in result.err
  assert launch('train', SMOKE, PLAIN, steps, f'--workdir={long}').status == 0
  assert_same_run(short, long, 40)
  status, lines = command('train', SMOKE, PLAIN, f'--workdir={short}', '--config.steps=15')
  assert status == 2 and len(lines) == 1
  assert lines[0].startswith(f'error: {short} is at step 40, past steps=15. Use steps=40 or more')
  assert json.loads((short / 'config.json').read_text())['config']['steps'] == 40


def test_another_config_is_refused(finished, command, tmp_path):
  run = shutil.copytree(finished, tmp_path / 'run')
  before = (run / 'config.json').read_bytes()
  status, lines = command(
    'train', SMOKE, f'--workdir={run}', '--config.hyper.beta=4', '--config.seed=1'
  )
  assert status == 2 and len(lines) == 1
  assert 'seed is 0 there, 1 here' in lines[0] and 'hyper.beta is 1.0 there, 4.0 here' in lines[0]
  assert (run / 'config.json').read_bytes() == before
  # A cosine ends with the run, so that another number of steps is another run.
  (run / 'config.json').write_bytes(before.replace(b'"lr": "constant"', b'"lr": "cosine"'))
  cosine = '--config.schedule.lr=cosine'
  status, lines = command('train', SMOKE, f'--workdir={run}', cosine, '--config.steps=40')
  assert status == 2 and 'steps is 20 there, 40 here' in lines[0]


MISTAKES = {
  'unknown dataset': ['--config=configs/vae.py:nosuchset,smoke'],
  'unknown config': ['--config=configs/nosuch.py'],
  'unknown field': [SMOKE, '--config.hyper.betta=1'],
  'wrong type': [SMOKE, '--config.steps=many'],
  'out of range': [SMOKE, '--config.steps=0'],
  'unknown net': [SMOKE, '--config.model.net=transformer'],
  'unknown optimizer': [SMOKE, '--config.optimizer.name=adamm'],
  'unknown schedule': [SMOKE, '--config.schedule.lr=cosinus'],
  'unknown best': [SMOKE, '--config.checkpoint.best=elbow'],
  'missing data_dir': [SMOKE, '--data_dir=nowhere'],
  'unknown flag': [SMOKE, '--wrokdir=x'],
}


@pytest.mark.parametrize('mistake', MISTAKES)
def test_a_mistake_creates_nothing(command, tmp_path, mistake):
  run = tmp_path / 'made' / 'run'
  status, lines = command('train', f'--workdir={run}', *MISTAKES[mistake])
  assert status == 2 and len(lines) == 1 and lines[0].startswith('error: ')
  assert not any(tmp_path.iterdir())
  if mistake == 'unknown best':
    assert "did you mean 'elbo'?" in lines[0]


@pytest.mark.slow
def test_what_a_run_that_was_killed_as_it_began_leaves_is_no_obstacle(launch, tmp_path):
  (tmp_path / '.lock').touch()
  (tmp_path / '.config.json.7.tmp').write_text('{"conf')
  assert launch('train', SMOKE, f'--workdir={tmp_path}').status == 0


def test_the_data_dir_is_remembered(project, finished, tmp_path):
  """Also by a command that does not give it."""
  run = shutil.copytree(finished, tmp_path / 'run')
  train.train(load_config(SMOKE.partition('=')[2]), run, str(tmp_path))
  for _ in range(2):
    assert json.loads((run / 'config.json').read_text())['data_dir'] == str(tmp_path)
    train.train(load_config(SMOKE.partition('=')[2]), run)


def test_the_place_of_the_environment_is_remembered(project, finished, tmp_path, monkeypatch):
  run = shutil.copytree(finished, tmp_path / 'run')
  monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path))
  train.train(load_config(SMOKE.partition('=')[2]), run)
  assert json.loads((run / 'config.json').read_text())['data_dir'] == str(tmp_path)


@pytest.mark.parametrize('field', ['rows', 'content', 'read'])
def test_other_data_than_before_is_refused(finished, command, tmp_path, field):
  """By its rows and their content; what the set was called does not matter."""
  run = shutil.copytree(finished, tmp_path / 'run')
  saved = json.loads((run / 'config.json').read_text())
  saved['data']['test'][field] = {'rows': 7, 'content': {'image': 'x'}, 'read': 'other test'}[field]
  (run / 'config.json').write_text(json.dumps(saved))
  status, lines = command('train', SMOKE, f'--workdir={run}')
  if field == 'read':
    assert status == 0
    return
  assert status == 2 and 'was trained on other data (test: digits test, ' in lines[0]
  assert 'digits test, 297 rows here' in lines[0] and f'init_from={run}' in lines[0]


@pytest.mark.slow
def test_a_signal_between_two_rows_leaves_them_as_they_are(project, tmp_path, monkeypatch):
  """Chunks are shorter than a row at first: the run stops inside of one, and goes on inside it."""
  config = lambda: load_config(f'{SMOKE.partition("=")[2]},eval.log_every=20')
  train.train(config(), tmp_path / 'whole')
  poll = BoundaryHandler.poll

  def interrupted(self, step, sums):
    poll(self, step, sums)
    if step == 3:
      signal.raise_signal(signal.SIGTERM)

  with monkeypatch.context() as patch:
    patch.setattr(BoundaryHandler, 'poll', interrupted)
    patch.setattr(train, 'ChunkLength', Steady)
    with pytest.raises(train.Stopped, match='SIGTERM at step 4'):
      train.train(config(), tmp_path / 'run')
  assert values(tmp_path / 'run', 4)['step'] == 4 and not rows(tmp_path / 'run')
  train.train(config(), tmp_path / 'run')
  assert_same_run(tmp_path / 'whole', tmp_path / 'run', 20)


class Steady:
  """Chunks of single steps."""

  warming_up = False

  def next(self):
    return 1


@pytest.mark.slow
def test_the_first_chunks_are_timed(project, tmp_path, monkeypatch):
  lengths, recorded = iter([3, 1, 5, 2, 4, 1, 4, 9]), []

  class Given:
    warming_up = True

    def next(self):
      return next(lengths)

    def record(self, steps, seconds):
      recorded.append(steps)

  monkeypatch.setattr(train, 'ChunkLength', Given)
  config = load_config(f'{SMOKE.partition("=")[2]},eval.log_every=20')
  train.train(config, tmp_path / 'run')
  # One is cut by the test at step 10, and the last one by the end of the run.
  assert recorded == [3, 1, 5, 1, 4, 1, 4, 1]


@pytest.mark.slow
def test_a_second_train_is_refused_and_the_lock_dies_with_its_owner(launch, command, tmp_path):
  long = ('train', SMOKE, f'--config.steps={NEVER}', f'--workdir={tmp_path}')
  first = launch.start(*long)
  wait_for(lambda: (tmp_path / 'metrics.jsonl').exists())
  status, lines = command(*long)
  assert status == 2 and len(lines) == 1 and 'another process is training' in lines[0]
  done = len(reached(tmp_path))
  wait_for(lambda: len(reached(tmp_path)) > done + 10)  # the first is unharmed
  first.kill()
  launch.end(first)
  second = launch.start(*long)
  wait_for(lambda: 'resuming' in second.stderr.readline() or second.poll() is not None)
  assert second.poll() is None
  second.kill()
  launch.end(second)


@pytest.mark.slow
@pytest.mark.parametrize(('first', 'then'), [('1', '8'), ('8', '1')])
def test_on_another_number_of_devices(launch, tmp_path, first, then):
  """Plain SGD, so that the order of a sum over devices stays as small as it is."""
  sgd = ('train', SMOKE, PLAIN, '--config.optimizer.name=sgd', '--config.hyper.lr=1e-4')
  run, whole = tmp_path / 'run', tmp_path / 'whole'
  assert launch(*sgd, f'--workdir={run}', JAX_NUM_CPU_DEVICES=first).status == 0
  more = (*sgd, '--config.steps=40')
  result = launch(*more, f'--workdir={run}', JAX_NUM_CPU_DEVICES=then)
  assert result.status == 0 and f'{then} device(s)' in result.err and 'at step 20' in result.err
  assert launch(*more, f'--workdir={whole}', JAX_NUM_CPU_DEVICES=first).status == 0
  a, b = values(run, 40), values(whole, 40)
  assert a.keys() == b.keys()
  for name in a:
    np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-5, err_msg=name)
  out = tmp_path / 'x.npy'
  assert launch('sample', f'--workdir={run}', '--n=3', f'--out={out}').status == 0
  assert np.load(out).shape == (3, 8, 8, 1)


def test_a_mistake_on_a_resume_is_not_blamed_on_the_workdir(tmp_path, capfd):
  assert main(['train', SMOKE, f'--workdir={tmp_path / "w"}']) == 0
  capfd.readouterr()
  arguments = ['train', SMOKE, f'--workdir={tmp_path / "w"}']
  assert main([*arguments, '--config.checkpoint.best=foo']) == 2
  said = capfd.readouterr().err
  assert said.startswith("error: checkpoint.best='foo' is not a value of the evals")
