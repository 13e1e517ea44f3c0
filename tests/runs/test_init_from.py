"""A run that begins from another: what it takes, what stands still, and that it needs it once."""

import json
import shutil

import jax
import numpy as np
import pytest
from flax import linen as nn
from running import assert_same_run, values

from vaejax.cli.main import main
from vaejax.config.load import load_config
from vaejax.core.step import make_step
from vaejax.nets import lens
from vaejax.runs import checkpoint, init_from, workdir
from vaejax.runs.trained import open_run
from vaejax.training.setup import set_up
from vaejax.types import zeros

SMOKE = 'configs/vae.py:digits,smoke,batch_size=11'


class Normed(nn.Module):
  """BatchNorm, as nets use it."""

  @nn.compact
  def __call__(self, x, train=False):
    return nn.BatchNorm(use_running_average=not train)(x)


@pytest.fixture
def begin(project, tmp_path, capsys):
  """begin(name, *words) -> the workdir of a run that went well; `begin.said` is what it said."""

  def begin(name, *words, verb='train', config=SMOKE, status=0):
    argv = [verb, f'--config={config}', f'--workdir={tmp_path / name}', *words]
    assert main([str(word) for word in argv]) == status
    begin.said = capsys.readouterr().err
    return tmp_path / name

  return begin


def of(workdir, step, section):
  """{path: bytes} of a section of a checkpoint."""
  prefix = f'{section}.'
  found = values(workdir, step).items()
  return {p.removeprefix(prefix): v.tobytes() for p, v in found if p.startswith(prefix)}


def test_it_begins_with_the_average_of_the_other_to_the_bit(trained, begin):
  """And its optimizer, its step and its own average with nothing of the other's."""
  here = begin(
    'run', f'--config.init_from={trained}', '--config.hyper.lr=0', '--config.optimizer.ema=0.5'
  )
  assert f'decoder, encoder from {trained} at step 20\n' in begin.said
  theirs = of(trained, 20, 'ema')
  assert theirs != of(trained, 20, 'variables')
  assert of(here, 10, 'variables') == theirs
  state = open_run(here, print, '10').state
  for a, b in zip(*map(jax.tree.leaves, (state.ema, state.variables)), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-6)
  assert int(values(here, 10)['opt.vae.0.count']) == 10
  init = json.loads((here / 'config.json').read_text())['init']
  assert init['from'] == str(trained) and init['step'] == 20 and init['weights'] == 'ema'
  ema = open_run(trained, print).state.ema
  assert init['nets'] == ['decoder', 'encoder'] and init['checksum'] == init_from.checksum(ema)
  other = jax.tree.map(lambda x: x + 1, ema)
  assert init_from.checksum(other) != init['checksum']


def test_a_net_that_was_not_asked_for_starts_fresh(trained, begin):
  still = '--config.hyper.lr=0'
  fresh = of(begin('fresh', still), 10, 'variables')
  some = begin('some', still, f'--config.init_from={trained}', '--config.init_nets=encoder')
  assert f'initialised encoder from {trained} at step 20, and decoder anew\n' in begin.said
  some, theirs = of(some, 10, 'variables'), of(trained, 20, 'ema')
  for path in some:
    assert some[path] == (theirs if path.startswith('params.encoder') else fresh)[path]
  assert some != fresh


def test_its_source_may_vanish(copied, begin):
  take = f'--config.init_from={copied}'
  whole = begin('whole', take, '--config.checkpoint.keep=9')
  cut = shutil.copytree(whole, whole.parent / 'cut')
  shutil.rmtree(cut / 'checkpoints' / '20')
  shutil.rmtree(copied)
  assert begin('cut', take, '--config.checkpoint.keep=9') == cut
  assert 'resuming at step 10' in begin.said
  assert_same_run(whole, cut, 20)
  one, other = (json.loads((run / 'config.json').read_text()) for run in (whole, cut))
  assert one['init'] == other['init'] is not None
  begin('new', take, status=2)
  assert begin.said.startswith(f'error: init_from={copied}: there is no workdir')


def test_what_nobody_moves_stands_still(project, begin, trained):
  """Its average too."""
  words = f'--config.init_from={trained}', '--config.train=decoder', '--config.optimizer.ema=0.9'
  here = begin('run', *words)
  theirs, now = of(trained, 20, 'ema'), of(here, 20, 'variables')
  average = of(here, 20, 'ema')
  for path, value in now.items():
    same = path.startswith('params.encoder')
    assert (value == theirs[path]) == same == (average[path] == theirs[path])
  assert not any('encoder' in path for path in of(here, 20, 'opt'))


def test_statistics_of_a_frozen_net_stand_still_and_are_what_it_is_applied_with(project):
  words = (
    'digits,smoke,net=conv,model.channels=8,8,model.strides=1,2,norm=batch,train=decoder,ema=0.9'
  )
  config = load_config(f'configs/vae.py:{words}')
  setup = set_up(config, None)
  state = jax.jit(setup.create)()
  step = jax.jit(make_step(setup.method, ema=0.9))
  batch = zeros(setup.source.example, 4)
  batch = {**batch, 'image': jax.random.uniform(jax.random.key(0), batch['image'].shape)}
  after, _ = step(step(state, batch)[0], batch)
  same = lambda a, b: all(
    np.array_equal(x, y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True)
  )
  for part in ('params', 'extra'):
    old, new = getattr(state.variables, part), getattr(after.variables, part)
    assert jax.tree.leaves(old['encoder']) and jax.tree.leaves(old['decoder']), part
    assert same(old['encoder'], new['encoder']) and not same(old['decoder'], new['decoder'])
    assert same(old['encoder'], getattr(after.ema, part)['encoder'])
  assert jax.tree.structure(after) == jax.tree.structure(state)


def test_a_frozen_net_is_applied_with_its_own_statistics():
  net = {'net': Normed()}
  x = jax.random.normal(jax.random.key(0), (5, 3))
  fresh = lens.init(net, jax.random.key(0), {'net': (x,)})
  frozen = fresh.replace(frozen=('net',))
  apply = lambda variables, **kwargs: lens.apply(net, 'net', variables, x, **kwargs)
  (still, left), (moving, after) = apply(frozen, train=True), apply(fresh, train=True)
  np.testing.assert_array_equal(still, apply(fresh)[0])
  assert left is frozen and abs(still - moving).max() > 0.1
  assert (after.extra['net']['batch_stats']['BatchNorm_0']['mean'] != 0).any()


def test_a_player_that_owns_nothing_is_dropped(project):
  config = load_config('configs/gan.py:digits,smoke,train=generator')
  method = set_up(config, None).method
  assert [(p.name, p.owns) for p in method.players] == [('generator', ('generator',))]


@pytest.mark.slow
def test_members_of_a_sweep_are_their_single_runs(trained, begin):
  take = f'--config.init_from={trained}', '--config.hyper.lr=0.01', '--config.train=encoder'
  sweep = begin('sweep', *take, '--grid', 'seed=3,4', verb='sweep')
  assert begin.said.count(f'from {trained} at step 20') == 1
  for number, seed in enumerate((3, 4)):
    single = begin(f'single{seed}', *take, f'--config.seed={seed}')
    member = open_run(sweep, print, member=number).state
    one, other = map(jax.tree.leaves, (member.variables, open_run(single, print).state.variables))
    for a, b in zip(one, other, strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
  # And one of them is begun from, the stack's own axis being no part of a shape.
  still = begin('next', f'--config.init_from={sweep}/members/1', '--config.hyper.lr=0')
  want = open_run(sweep, print, member=1).state.variables
  found = open_run(still, print, '10').state.variables
  for a, b in zip(*map(jax.tree.leaves, (found, want)), strict=True):
    np.testing.assert_array_equal(a, b)
  assert workdir.read_config(still).init['member'] == 1


def test_it_begins_so_on_any_mesh(project, trained):
  config = load_config(f'{SMOKE},init_from={trained}')
  config.batch_size = 16
  setup = set_up(config, None)
  assert setup.mesh.size == 8
  initial = init_from.read(config, setup.method, setup.create, False, lambda text: None)
  state = init_from.first_state(
    setup.create, setup.state_sharding, setup.mesh, initial, stacked=False
  )
  ema = checkpoint.named_leaves(open_run(trained, print).state.ema)
  for path, leaf in checkpoint.named_leaves(state.variables).items():
    assert (
      leaf.is_fully_replicated and np.asarray(leaf).tobytes() == np.asarray(ema[path]).tobytes()
    )


MISTAKES = {
  'no run': (('--config.init_from=none',), "init_from=none: there is no workdir 'none'"),
  'nets of nothing': (
    ('--config.init_nets=encoder',),
    'init_nets=encoder needs the run to take them from',
  ),
  'an unknown net': (
    ('--config.init_from=RUN', '--config.init_nets=encodr'),
    "has no net 'encodr' (did you mean 'encoder'?). Both have decoder, encoder",
  ),
  'a net that does not fit': (
    ('--config.init_from=RUN', '--config.init_nets=decoder', '--config.model.latents=3'),
    'Dense_0/kernel is float32[4, 32] in checkpoint 20 and float32[3, 32] now',
  ),
  'nothing fits': (('--config.init_from=RUN', '--config.model.widths=7'), 'no net fits ('),
  'a step': (
    ('--config.init_from=RUN', '--config.init_checkpoint=15'),
    'init_checkpoint=15 does not exist. Use latest, best or one of the steps 10, 20',
  ),
  'an unknown net to train': (
    ('--config.train=encoder+decodr',),
    "no player trains 'decodr' (did you mean 'decoder'?)",
  ),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_a_mistake_is_one_line_and_creates_nothing(name, begin, trained):
  words, said = MISTAKES[name]
  here = begin('run', *(word.replace('RUN', str(trained)) for word in words), status=2)
  assert said in begin.said and begin.said.count('\n') == 1 and not here.exists()
