"""What runs leave at their boundaries: rows, tests, checkpoints, and how a NaN ends them."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest
from running import values

import vaejax

CONFIG = f'{Path(__file__).parents[2]}/configs/vae.py:smoke,steps=12,eval.log_every=4,eval.images=1'
CONFIG += ',checkpoint.every=6,checkpoint.keep=9'
SGD = 'optimizer.name=sgd,lr=1e38'  # infinite weights by one step


def train(folder: Path, *words: str) -> None:
  vaejax.train(','.join([CONFIG, *words]), folder)


def rows(folder: Path) -> list[tuple]:
  """(step, split, whether it is the final one) of each row, the metrics of which are finite."""
  found = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
  for row in found:
    assert all(np.isfinite(value) for value in row.values() if not isinstance(value, str))
  return [(row['step'], row['split'], row.get('final', False)) for row in found]


def saved(folder: Path) -> list[int]:
  return sorted(int(path.name) for path in (folder / 'checkpoints').iterdir())


# {case: (words, tests, checkpoints)}, where rows come each 4 steps and checkpoints each 6.
EVERY = {
  'never': ('eval.every=0', [(12, 'test', True)], [6, 12]),
  'all of test': (
    'eval.every=5,eval.size=0',
    [(5, 'test', False), (10, 'test', False), (12, 'test', False)],
    [6, 12],
  ),
  'what is best is saved': (
    'eval.every=5,data.validation=0.1,best=elbo',
    [(step, 'validation', False) for step in (5, 10, 12)] + [(12, 'test', True)],
    [5, 6, 10, 12],
  ),
  # At the end a test of the whole split follows, and one of a part of it only where it is due.
  'a part of test': (
    'eval.every=5,eval.size=8',
    [(5, 'test', False), (10, 'test', False), (12, 'test', True)],
    [6, 12],
  ),
  'a part of test, also at the end': (
    'eval.every=6,eval.size=8',
    [(6, 'test', False), (12, 'test', False), (12, 'test', True)],
    [6, 12],
  ),
  'validation': (
    'eval.every=5,eval.size=8,data.validation=0.1',
    [(step, 'validation', False) for step in (5, 10, 12)] + [(12, 'test', True)],
    [6, 12],
  ),
}


@pytest.mark.parametrize(
  'case', [pytest.param(c, marks=[] if 'best' in c else pytest.mark.slow) for c in EVERY]
)
def test_rows_tests_and_checkpoints_come_when_they_are_due(tmp_path, case):
  words, tests, checkpoints = EVERY[case]
  train(tmp_path / 'run', words)
  found = rows(tmp_path / 'run')
  assert [row for row in found if row[1] != 'train'] == tests
  every = int(words.partition('eval.every=')[2].partition(',')[0])
  steps = [s for s in range(1, 13) if s % 4 == 0 or s % 6 == 0 or (every and s % every == 0)]
  assert [row for row in found if row[1] == 'train'] == [(step, 'train', False) for step in steps]
  assert saved(tmp_path / 'run') == checkpoints


@pytest.mark.slow
def test_boundaries_are_the_same_wherever_a_run_is_taken_up(tmp_path):
  """And what is saved is the state of that step, which the steps after it did not overwrite."""
  train(tmp_path / 'short', 'steps=7')
  train(tmp_path / 'whole')
  assert rows(tmp_path / 'short')[-1] == (7, 'test', True) and saved(tmp_path / 'short') == [6, 7]
  train(tmp_path / 'short')
  assert [row for row in rows(tmp_path / 'short') if row[0] > 7] == [
    row for row in rows(tmp_path / 'whole') if row[0] > 7
  ]
  for step in (6, 12):
    one, other = (values(tmp_path / name, step) for name in ('short', 'whole'))
    assert one['step'] == step and one.keys() == other.keys()
    assert all(one[name].tobytes() == other[name].tobytes() for name in one)


@pytest.mark.parametrize(
  ('step', 'message', 'last_row'),
  [
    # The rate is that of step 9 alone, and the loss of the next one is not finite.
    (9, 'elbo, kl, loss, recon of the player vae became (nan|inf) in steps 9 to 1[0-2] ', 8),
    # In the last step before a save no loss shows it: what is saved is checked too.
    pytest.param(
      *(11, 'parameters of the player vae became nan in steps 9 to 12 ', 12),
      marks=pytest.mark.slow,
    ),
  ],
  ids=['in the loss', 'in the parameters'],
)
def test_a_run_ends_where_its_loss_is_not_a_number(tmp_path, step, message, last_row):
  config = vaejax.get_config(f'{CONFIG},{SGD},eval.every=0')
  config.schedule.lr = f'piecewise:0=0,{step}=1,{step + 1}=0'
  with pytest.raises(
    vaejax.RunError, match=message + r'.*checkpoint 6 is kept. Try a smaller hyper.lr'
  ):
    vaejax.train(config, tmp_path)
  # No row of a loss that is not finite, and the checkpoint that is kept is a good one.
  assert rows(tmp_path)[-1] == (last_row, 'train', False) and saved(tmp_path) == [6]
  run = vaejax.load(tmp_path)
  assert run.step == 6 and np.isfinite(run.sample(2)).all()


@pytest.mark.slow
def test_a_member_whose_loss_is_not_a_number_is_frozen_before_that_step(tmp_path, capfd):
  config = vaejax.get_config(f'{CONFIG},{SGD}')
  config.schedule.lr = 'piecewise:0=0,9=1'
  good, bad = vaejax.sweep(config, tmp_path, {'lr': [1e-5, 1e38]}, progress=True)
  assert (good['step'], good['frozen'], bad['step'], bad['frozen']) == (12, False, 9, True)
  (line,) = [line for line in capfd.readouterr().err.splitlines() if 'frozen' in line]
  assert line.startswith('member 1') and 'lr=1e+38' in line and ' in steps 9 to 1' in line
  # Nothing moved before step 9, and the frozen member not at all.
  config = vaejax.get_config(f'{CONFIG},{SGD}')
  config.schedule.lr = 'constant'
  config.hyper.lr = 0.0
  vaejax.train(config, tmp_path / 'still')
  still = vaejax.load(tmp_path / 'still')
  with pytest.warns(UserWarning, match='frozen at step 9'):
    one = vaejax.load(tmp_path, member=1)
  jax.tree.map(np.testing.assert_array_equal, one.variables, still.variables)
  moved = jax.tree.leaves(vaejax.load(tmp_path, member=0).variables)
  assert all((a != b).any() for a, b in zip(moved, jax.tree.leaves(still.variables), strict=True))
