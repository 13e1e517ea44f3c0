"""A run that stops early: at the same step however it was interrupted, and with a proper end."""

import json
import math
import signal

import pytest
from running import SMOKE, assert_same_run, rows

from vaejax.cli.main import main
from vaejax.config.load import load_config
from vaejax.training import train
from vaejax.training.boundary import BoundaryHandler
from vaejax.training.patience import Patience

NAN = math.nan
# The ELBO grows as the run learns, so that a smaller one is not seen after the first test.
FIELDS = {
  'steps': '40',
  'eval.every': '5',
  'eval.patience': '2',
  'checkpoint.every': '5',
  'checkpoint.best': '-elbo',
  'data.validation': '0.1',
  'schedule.lr': 'constant',
}


def config(**changes):
  fields = FIELDS | {name.replace('_', '.', 1): value for name, value in changes.items()}
  return load_config(SMOKE.partition('=')[2], list(fields.items()))


@pytest.mark.parametrize(
  ('values', 'over'),
  [
    ([], None),
    ([1.0], None),
    ([1.0, 2.0, 3.0, 4.0], None),
    ([1.0, 1.0], None),
    ([1.0, 1.0, 1.0], 3),  # the same again is no improvement
    ([2.0, 1.0, 1.5, 3.0], 3),
    ([2.0, 1.0, 3.0, 1.0, 2.9, 4.0], 5),
    ([NAN, NAN, 1.0], 2),
    ([1.0, NAN, 2.0, NAN, math.inf], 5),
  ],
)
@pytest.mark.parametrize('sign', [1, -1])
def test_after_how_many_tests(values, over, sign):
  patience = Patience(2, 'x' if sign > 0 else '-x', 10)
  tests = [(10 * (i + 1), sign * value) for i, value in enumerate(values)]
  ends = [n for n in range(len(tests) + 1) if patience.is_over(tests[:n])]
  assert (ends[0] if ends else None) == over
  assert not Patience(0, 'x', 10).is_over(tests)


def test_the_history_is_that_of_the_log():
  row = lambda step, split, **values: {'step': step, 'split': split, **values}
  logged = [
    row(10, 'train', x=1.0),
    row(10, 'validation', x=2.0),
    row(15, 'validation', x=9.0),  # the end of a shorter run
    row(20, 'validation', x=None),
    row(20, 'test', x=3.0, final=True),
    row(30, 'validation', y=3.0),
  ]
  (first, second) = Patience(1, '-x', 10).history(logged)
  assert first == (10, 2.0) and second[0] == 20 and math.isnan(second[1])


@pytest.fixture(scope='module')
def stopped(tmp_path_factory):
  """A run that has stopped early, at step 15."""
  folder = tmp_path_factory.mktemp('stopped') / 'run'
  train.train(config(), folder)
  return folder


def test_its_end_is_that_of_a_run(stopped, tmp_path, capsys):
  assert sorted(int(p.name) for p in (stopped / 'checkpoints').iterdir()) == [5, 10, 15]
  tests = [
    (r['step'], r['split'], r.get('final', False)) for r in rows(stopped) if r['split'] != 'train'
  ]
  assert tests == [(s, 'validation', False) for s in (5, 10, 15)] + [(15, 'test', True)]
  evaluation = json.loads((stopped / 'evaluation.json').read_text())
  assert {r['step'] for r in evaluation.values()} == {15}
  assert {'elbo', 'validation/elbo'} <= evaluation.keys() and (stopped / 'report.html').exists()
  # What the device had done beyond the test is gone: this is the run that never looked.
  train.train(config(eval_patience='0', steps='15'), tmp_path / 'patient')
  assert_same_run(tmp_path / 'patient', stopped, 15)


def test_the_same_command_says_so_again(stopped, capsys):
  before = rows(stopped)
  fields = [f'--config.{name}={value}' for name, value in FIELDS.items()]
  assert main(['train', SMOKE, f'--workdir={stopped}', *fields]) == 0
  shown = capsys.readouterr()
  line = 'stopped early at step 15: elbo has not improved since step 5 (eval.patience=2)'
  assert line in shown.err.splitlines()
  assert 'test after 15 steps: ' in shown.out
  assert rows(stopped) == before


@pytest.mark.parametrize('last', [2, 9, 14, 16])
def test_interrupted_it_stops_at_the_same_step(stopped, tmp_path, monkeypatch, last):
  """Also by a signal that comes with the device beyond the last test."""
  poll, finish = BoundaryHandler.poll, BoundaryHandler.finish

  class Steady:
    warming_up = False

    def next(self):
      return 1

  def interrupted(handler, step):
    if step == last or (last == 16 and handler.early is not None):
      signal.raise_signal(signal.SIGTERM)

  with monkeypatch.context() as patch:
    patch.setattr(train, 'ChunkLength', Steady)
    patch.setattr(
      BoundaryHandler, 'poll', lambda self, *a: (poll(self, *a), interrupted(self, a[0]))
    )
    patch.setattr(
      BoundaryHandler, 'finish', lambda self, p: (finish(self, p), interrupted(self, p.step))
    )
    with pytest.raises(train.Stopped):
      train.train(config(), tmp_path / 'run')
  assert not (tmp_path / 'run' / 'evaluation.json').exists()
  train.train(config(), tmp_path / 'run')
  assert_same_run(stopped, tmp_path / 'run', 15)


def test_with_more_patience_it_goes_on(stopped, tmp_path):
  """As the run that had it from the start."""
  for patience in ('1', '2', '3'):
    train.train(config(eval_patience=patience), tmp_path / 'run')
  train.train(config(eval_patience='3'), tmp_path / 'whole')
  assert_same_run(tmp_path / 'whole', tmp_path / 'run', 20)


def test_a_run_that_improves_ends_with_its_steps(tmp_path):
  train.train(config(checkpoint_best='elbo', steps='20'), tmp_path / 'run')
  assert rows(tmp_path / 'run')[-1]['step'] == 20


MISTAKES = {
  'checkpoint.best=': 'eval.patience=2 needs a value that should improve on the validation split',
  'data.validation=0': 'needs a validation split to choose by',
  'eval.every=0': 'eval.patience=2 counts tests. Set eval.every',
}


@pytest.mark.parametrize('change', MISTAKES)
def test_a_mistake_is_one_line(tmp_path, capsys, project, change):
  fields = FIELDS | dict([change.split('=')])
  words = [f'--config.{name}={value}' for name, value in fields.items()]
  assert main(['train', SMOKE, f'--workdir={tmp_path / "run"}', *words]) == 2
  shown = capsys.readouterr().err
  assert MISTAKES[change] in shown and shown.count('\n') == 1 and not any(tmp_path.iterdir())


def test_a_sweep_has_no_patience(tmp_path, capsys, project):
  words = [f'--config.{name}={value}' for name, value in FIELDS.items()]
  assert main(['sweep', SMOKE, f'--workdir={tmp_path / "run"}', *words, '--grid=seed=0:2']) == 2
  shown = capsys.readouterr().err
  assert 'the members of a sweep train together' in shown and not any(tmp_path.iterdir())
