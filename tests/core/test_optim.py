"""Optimizers at rate 1 are optax's own; schedules at points that were computed by hand."""

import inspect
import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vaejax.config.base import base, player
from vaejax.config.load import load_config
from vaejax.config.schedules import depends_on_steps
from vaejax.core import optim
from vaejax.errors import UserError
from vaejax.types import Method, Player

RATE = 0.03
# Far from every default.
VALUES = {'b1': 0.6, 'b2': 0.7, 'eps': 0.05, 'momentum': 0.4, 'decay': 0.6, 'weight_decay': 0.2}


def config(**fields):
  """The `optimizer` of a config."""
  optimizer = base('', {}).optimizer
  optimizer.update(fields)
  return optimizer


def descend(tx, rate, steps=4):
  """Parameters after a few steps p + rate * update."""
  params = {'a': jnp.array([1.0, -2.0, 3.0]), 'b': jnp.full((2, 2), 0.5)}
  state = tx.init(params)
  for i in range(steps):
    grads = jax.tree.map(lambda p, i=i: jnp.sin(p * (i + 1)) + 0.1, params)
    updates, state = tx.update(grads, state, params)
    params = jax.tree.map(lambda p, u: p + rate * u, params, updates)
  return np.concatenate([np.ravel(p) for p in jax.tree.leaves(params)])


@pytest.mark.parametrize('name', optim.OPTIMIZERS)
def test_a_direction_at_a_rate_is_optaxs_own_optimizer(name):
  factory = getattr(optax, name)
  given = {a: v for a, v in VALUES.items() if a in inspect.signature(factory).parameters}
  plain = descend(optim.make(config(name=name)), RATE)
  np.testing.assert_allclose(plain, descend(factory(learning_rate=RATE), 1.0), rtol=1e-5)
  if given:
    found = descend(optim.make(config(name=name, **given)), RATE)
    own = descend(factory(learning_rate=RATE, **given), 1.0)
    np.testing.assert_allclose(found, own, rtol=1e-5)
    assert np.abs(found - plain).max() > 1e-3  # the arguments did arrive


def test_rmsprop_of_the_source_configs_is_keras_own():
  """Keras: v = decay v + (1 - decay) g², and a step of g / sqrt(v + epsilon) with 1e-7. Gradients
  are small, so that the epsilon matters."""
  path = str(Path(__file__).parents[2] / 'configs' / 'source.py')
  gradients = 1e-4 * np.random.default_rng(0).normal(size=(5, 50))
  for system in ('conv28', 'conv32'):
    tx = optim.make(load_config(f'{path}:{system}').optimizer)
    state, v = tx.init(jnp.zeros(50)), np.zeros(50)
    for g in gradients:
      update, state = tx.update(jnp.asarray(g, jnp.float32), state)
      v = 0.9 * v + 0.1 * g**2
      np.testing.assert_allclose(update, -g / np.sqrt(v + 1e-7), rtol=1e-4)
      assert np.abs(g / np.sqrt(v + 1e-8) / update + 1).min() > 0.1  # optax's default differs


def test_adam_of_the_paper_config_is_that_of_the_iwae_code():
  """yburda/iwae adds gradients over a batch of 20, and 1e-4 to the root without correcting it for
  bias, which is none after many steps. Its second moment begins at 1, which has decayed by then."""
  config = load_config(str(Path(__file__).parents[2] / 'configs' / 'iwae.py') + ':mnist,paper')
  tx = optim.make(config.optimizer)
  gradients = 1e-5 * np.random.default_rng(0).normal(1.0, 1.0, size=(30_000, 8))

  def step(state, g):
    update, state = tx.update(g, state)
    return state, update

  _, updates = jax.lax.scan(step, tx.init(jnp.zeros(8)), jnp.asarray(gradients, jnp.float32))
  b1, b2, m, v = 0.99, 0.999, np.zeros(8), np.ones(8)
  for g in 20 * gradients:
    m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
  np.testing.assert_allclose(updates[-1], -m / (np.sqrt(v) + 1e-4), rtol=1e-3)
  # The same epsilon on the mean gradient would be 20 times as large.
  assert np.abs(m / (np.sqrt(v) + 2e-3) / updates[-1] + 1).min() > 0.1


def test_clipping_is_by_the_global_norm():
  tx = optim.make(config(name='sgd', clip=2.0))
  grads = {'a': jnp.array([3.0]), 'b': jnp.array([[0.0, 4.0]])}  # of norm 5
  updates, _ = tx.update(grads, tx.init(grads), grads)
  np.testing.assert_allclose(updates['a'], [-3.0 * 2 / 5], rtol=1e-6)
  np.testing.assert_allclose(updates['b'], [[0.0, -4.0 * 2 / 5]], rtol=1e-6)
  short = jax.tree.map(lambda g: g / 10, grads)
  updates, _ = tx.update(short, tx.init(grads), grads)
  np.testing.assert_allclose(updates['a'], [-0.3], rtol=1e-6)


@pytest.mark.parametrize(
  'fields, said',
  [
    ({'name': 'sdg'}, ('optimizer.name', "did you mean 'sgd'", 'adam, ')),
    ({'name': 'apply_updates'}, ('optimizer.name', 'adam, ')),
    ({'name': 'sgd', 'b1': 0.9}, ('optimizer.b1', 'sgd', 'It has momentum')),
    ({'name': 'adam', 'weight_decay': 0.1}, ('optimizer.weight_decay', 'b1, b2, eps')),
  ],
)
def test_what_no_optimizer_takes(fields, said):
  with pytest.raises(UserError) as error:
    optim.make(config(**fields))
  assert all(word in str(error.value) for word in said) and '\n' not in str(error.value)


@pytest.mark.parametrize(
  'text, points',
  [
    ('constant', {0: 1, 1000: 1}),
    ('linear', {0: 0.01, 24: 0.25, 99: 1, 150: 1}),  # over the run's 100 steps
    ('linear:start=0.2,steps=4', {0: 0.4, 1: 0.6, 2: 0.8, 3: 1, 4: 1}),
    ('linear:start=1,end=0', {0: 1, 50: 0.5, 99: 0.01, 100: 0}),
    ('linear:start=1,end=0.5,steps=10', {0: 1, 5: 0.75, 9: 0.55, 10: 0.5, 90: 0.5}),
    ('linear:steps=1', {0: 1, 1: 1}),
    ('cosine', {0: 1, 50: 0.5, 25: (1 + math.sqrt(0.5)) / 2, 100: 0, 120: 0}),
    ('cosine:end=0.2', {0: 1, 50: 0.6, 100: 0.2}),
    ('cosine:warmup=20', {0: 0.05, 9: 0.5, 19: 1, 20: 1, 60: 0.5, 100: 0}),
    ('cosine:warmup=1', {0: 1, 1: 1, 100: 0}),
    ('cosine:warmup=99', {0: 1 / 99, 98: 1, 99: 1, 100: 0}),
    ('cosine:warmup=1e1,steps=30', {0: 0.1, 4: 0.5, 9: 1, 10: 1, 20: 0.5, 30: 0, 99: 0}),
    ('exponential:rate=0.1,every=10', {0: 1, 5: math.sqrt(0.1), 10: 0.1, 20: 0.01}),
    ('exponential:every=10,staircase=1', {0: 1, 9: 1, 10: 0.5, 19: 0.5, 20: 0.25}),
    ('piecewise:10=0.1,20=0.01', {0: 1, 9: 1, 10: 0.1, 19: 0.1, 20: 0.01, 99: 0.01}),
    ('piecewise:20=2,1e1=3', {9: 1, 10: 3, 20: 2}),  # in any order
  ],
)
def test_schedules_at_points_by_hand(text, points):
  factor = jax.jit(optim.schedule('schedule.lr', text, 100))
  for step, value in points.items():
    # optax computes exponentials and cosines in float32.
    np.testing.assert_allclose(factor(jnp.int32(step)), value, atol=1e-6, err_msg=f'at {step}')


@pytest.mark.parametrize(
  'text',
  [
    'linear',
    'linear:start=1,end=0',
    'linear:steps=1',
    'linear:start=1,end=0,steps=50',
    'cosine',
    'cosine:warmup=1',
    'cosine:warmup=49',
    'exponential:every=1',
  ],
)
def test_no_step_of_a_run_is_at_rate_zero(text):
  factor = jax.vmap(optim.schedule('schedule.lr', text, 50))(jnp.arange(50))
  assert (factor > 0).all() and (factor <= 1).all()


@pytest.mark.parametrize(
  'text, said',
  [
    ('cosin', ("did you mean 'cosine'", 'constant, linear')),
    ('', ('constant, linear',)),
    ('constant:end=1', ("'end=1'", 'constant takes nothing')),
    ('cosine:warm=10', ("'warm=10'", 'warmup=NUMBER')),
    ('cosine:warmup', ("'warmup'", 'warmup=NUMBER')),
    ('cosine:warmup=ten', ("'warmup=ten'",)),
    ('cosine:warmup=0.5', ("'warmup=0.5'",)),
    ('cosine:warmup=-1', ("'warmup=-1'",)),
    ('cosine:end=nan', ("'end=nan'",)),
    ('linear:end=inf', ("'end=inf'",)),
    ('linear:start=-1', ("'start=-1'",)),
    ('linear:end=1,end=2', ("'end=2'",)),
    ('linear:steps=1e99', ("'steps=1e99'",)),
    ('cosine:warmup=100', ('warmup must be less than its 100 steps',)),
    ('cosine:warmup=30,steps=20', ('warmup must be less than its 20 steps',)),
    ('exponential', ('every=STEPS',)),
    ('exponential:rate=0,every=5', ('rate above 0',)),
    ('piecewise', ('STEP=FACTOR',)),
    ('piecewise:a=1', ("'a=1'", 'STEP=FACTOR')),
    ('piecewise:inf=1', ("'inf=1'",)),
    ('piecewise:1e30=1', ("'1e30=1'",)),
    ('piecewise:1.5=1', ("'1.5=1'",)),
    ('piecewise:10', ("'10'",)),
  ],
)
def test_what_no_schedule_takes(text, said):
  with pytest.raises(UserError) as error:
    optim.schedule('schedule.beta', text, 100)
  found = str(error.value)
  assert found.startswith(f'schedule.beta={text!r}') and '\n' not in found
  assert all(word in found for word in said)


def test_what_stretches_over_the_run():
  stretched = ['linear', 'cosine', 'cosine:warmup=5', 'linear:start=1,end=0']
  fixed = ['constant', 'linear:steps=5', 'cosine:steps=5', 'exponential:every=5', 'piecewise:5=1']
  assert all(map(depends_on_steps, stretched))
  assert not any(map(depends_on_steps, fixed))
  # And that is what it means: a longer run has other factors.
  for text in stretched + fixed:
    here, longer = (float(optim.schedule('', text, steps)(7)) for steps in (10, 20))
    assert (here != longer) == (text in stretched)


def test_only_schedules_that_change_anything_are_kept():
  found = optim.schedules({'lr': 'constant', 'beta': 'linear:steps=4'}, 10)
  assert list(found) == ['beta'] and float(found['beta'](1)) == 0.5
  with pytest.raises(UserError, match=r'schedule\.lr'):
    optim.schedules({'lr': 'x'}, 10)


def test_a_players_own_section_overrides_what_it_sets():
  optimizer = config(b1=0.5, b2=0.9, clip=2.0)
  optimizer.critic = player(b1=0.0)
  optimizer.slow = player(name='sgd', clip=0.0)
  assert optim.settings(optimizer, 'other') == ('adam', 2.0, {'b1': 0.5, 'b2': 0.9})
  assert optim.settings(optimizer, 'critic') == ('adam', 2.0, {'b1': 0.0, 'b2': 0.9})
  # An argument belongs to the optimizer that it was given with.
  assert optim.settings(optimizer, 'slow') == ('sgd', 0.0, {})
  optimizer.slow.name = 'sdg'
  with pytest.raises(UserError, match=r"optimizer.slow.name='sdg' is unknown .did you mean 'sgd'"):
    optim.make(optimizer, 'slow')


def test_equip_gives_each_player_its_optimizer_and_leaves_one_that_it_has():
  own = optax.sgd(1.0)
  players = [Player(n, None, (n,), tx) for n, tx in (('critic', None), ('decoder', own))]
  method = Method(None, tuple(players), None, None, {})
  optimizer = config(name='sgd')
  optimizer.critic = player(name='lion')
  critic, decoder = optim.equip(method, optimizer).players
  assert decoder.tx is own
  found, want = (tx.init({'w': jnp.ones(3)}) for tx in (critic.tx, optax.lion(1.0)))
  assert jax.tree.structure(found) == jax.tree.structure(want)
