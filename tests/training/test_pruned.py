"""Pruned runs by their commands: cut in the middle, begun from others, members of a sweep."""

import json
import shutil

import jax
import numpy as np
import pytest
from running import ROOT, assert_same_run, rows

from vaejax.cli.main import main
from vaejax.config.load import load_config
from vaejax.core import prune
from vaejax.runs.trained import open_run
from vaejax.training.checks import pruning_notes

SMOKE = 'configs/vae.py:digits,smoke,batch_size=11,prune=0.8'
FINE = f'{SMOKE},ema=0.9,prune_start=0.2,prune_end=0.9,prune_every=3,checkpoint.keep=9'
GAN = 'configs/gan.py:digits,smoke,prune=0.75,prune_by=layer,prune_every=1'


@pytest.fixture
def begin(project, tmp_path, capsys):
  """begin(name, words of the config) -> the workdir of a run that went well; `begin.said` is what
  it said."""

  def begin(name, words='', verb='train', config=SMOKE, more=(), status=0):
    spec = f'--config={config}{"," if words else ""}{words}'
    assert main([verb, spec, f'--workdir={tmp_path / name}', *more]) == status
    begin.said = capsys.readouterr().err
    return tmp_path / name

  return begin


def masks(workdir, step='latest', average=False, member=None) -> list[np.ndarray]:
  """Where the kernels of a run are 0."""
  state = open_run(workdir, print, str(step), member=member).state
  variables = state.ema if average else state.variables
  return [np.asarray(x) == 0 for x in jax.tree.leaves(prune.kernels(variables.params))]


def count(masks) -> tuple[int, int]:
  return sum(map(np.sum, masks)), sum(map(np.size, masks))


def is_as_sparse(masks, target=0.8) -> bool:
  pruned, size = count(masks)
  return pruned == round(target * size)


def equal(one, other) -> bool:
  return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.fixture(scope='module')
def pruned(trained, tmp_path_factory):
  """The workdir of a run that began dense; to be copied and not to be changed."""
  workdir = tmp_path_factory.mktemp('pruned') / 'run'
  with pytest.MonkeyPatch.context() as patch:
    patch.chdir(ROOT)
    assert main(['train', f'--config={FINE},init_from={trained}', f'--workdir={workdir}']) == 0
  return workdir


def test_a_run_cut_in_the_middle_is_never_stopped(begin, pruned, trained, tmp_path):
  cut = shutil.copytree(pruned, tmp_path / 'cut')
  shutil.rmtree(cut / 'checkpoints' / '20')
  number, size = count(masks(cut))
  assert 0.2 * size < number < 0.75 * size
  begin('cut', f'init_from={trained}', config=FINE)
  assert 'resuming at step 10' in begin.said
  assert_same_run(pruned, cut, 20)
  logged = [row['sparsity'] for row in rows(cut) if row['split'] == 'train']
  assert logged[0] < logged[1] < logged[2] < logged[3] < 0.8


def test_it_begins_from_a_dense_run_and_keeps_the_zeros_of_a_pruned_one(begin, pruned, trained):
  assert not count(masks(trained, average=True))[0]
  zeros = masks(pruned)
  assert is_as_sparse(zeros) and equal(zeros, masks(pruned, average=True))
  again = begin('again', f'init_from={pruned},prune_start=0,prune_end=0,lr=1e-2')
  for step in (10, 20):
    assert equal(masks(again, step), zeros)
  logged = [row['sparsity'] for row in rows(again) if row['split'] == 'train']
  assert logged == pytest.approx([0.8] * len(logged), abs=1e-4)
  weights = lambda run: jax.tree.leaves(prune.kernels(open_run(run, print).state.variables.params))
  assert not all(np.array_equal(a, b) for a, b in zip(weights(again), weights(pruned), strict=True))


@pytest.mark.slow
def test_a_member_is_the_single_run(begin):
  plain = f'{SMOKE},steps=10,prune_every=2,optimizer.name=sgd,lr=1e-4'
  swept = begin('swept', verb='sweep', config=plain, more=['--grid', 'seed=0:2'])
  alone = begin('alone', 'seed=1', config=plain)
  assert equal(masks(alone), masks(swept, member=1)) and is_as_sparse(masks(alone))
  assert not equal(masks(alone), masks(swept, member=0))
  sparsity = lambda rows: [row['sparsity'] for row in rows if row['split'] == 'train']
  of_member = [row for row in rows(swept) if row['member'] == 1]
  assert sparsity(of_member) == pytest.approx(sparsity(rows(alone)))


@pytest.mark.slow
def test_every_layer_of_both_nets_of_a_game_is_pruned(begin):
  run = begin('game', config=GAN)
  params = open_run(run, print).state.variables.params
  for net in ('critic', 'generator'):
    of_net = [np.asarray(x) == 0 for x in jax.tree.leaves(prune.kernels({net: params[net]}))]
    assert len(of_net) > 1 and all(is_as_sparse([mask], 0.75) for mask in of_net)
    last = [row for row in rows(run) if row['split'] == 'train'][-1]
    assert last[f'sparsity_{net}'] == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(
  'words, message',
  [
    ('prune=1', 'optimizer.prune=1.0 is out of range. Use 0 to 0.9999'),
    ('prune_end=1.5', 'optimizer.prune_end=1.5 is out of range. Use 0 to 1'),
    ('prune_every=0', 'optimizer.prune_every=0 is out of range'),
    ('prune_by=row', "optimizer.prune_by='row' is unknown. Use global or layer"),
    ('prune_end=0', 'optimizer.prune_start=0.1 is after optimizer.prune_end=0. Use at most 0'),
  ],
)
def test_mistakes_are_one_line(begin, words, message):
  run = begin('run', words, status=2)
  assert begin.said.startswith(f'error: {message}') and begin.said.count('\n') == 1
  assert not run.exists()


def test_a_best_checkpoint_may_not_be_sparse_yet(project):
  note = 'the best checkpoint may come before step 15, from which the nets are as sparse as they '
  config = load_config(f'{SMOKE},best=elbo')
  assert pruning_notes(config) == [f'{note}will be']
  config.eval.patience = 2
  assert 'the best checkpoint and an early end may come' in pruning_notes(config)[0]
  for words in ('', ',best=elbo,prune=0', ',best=elbo,prune_start=0,prune_end=0'):
    assert not pruning_notes(load_config(SMOKE + words))


def test_show_says_what_is_pruned(project, capsys):
  assert main(['show', f'--config={SMOKE}']) == 0
  assert '(constant), 80 % pruned (global)' in capsys.readouterr().out


def test_a_config_of_an_older_run_has_none_of_its_fields(copied, capsys):
  path = copied / 'config.json'
  saved = json.loads(path.read_text())
  fields = [name for name in saved['config']['optimizer'] if name.startswith('prune')]
  assert len(fields) == 5
  for name in fields:
    del saved['config']['optimizer'][name]
  path.write_text(json.dumps(saved))
  run = open_run(copied, print)
  assert run.config.optimizer.prune == 0 and run.config.optimizer.prune_by == 'global'
