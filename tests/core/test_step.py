"""Rounds of several players, microbatches, schedules and averages, on a toy game of vectors."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from chunks import averaged_chunk
from flax import linen as nn

from vaejax.core.stack import make_sweep
from vaejax.core.step import create_state, make_step, microbatch, turn
from vaejax.nets import lens
from vaejax.types import Example, Method, Player, State, Variables, averaged

B, TURNS, WIDTH = 6, 5, 4
EXAMPLE = Example({'image': jax.ShapeDtypeStruct((WIDTH,), jnp.float32)})
HYPER = {'lr': 0.1, 'lr_critic': 0.05, 'weight': 2.0}


class Plain(nn.Module):
  """A dense layer."""

  features: int

  @nn.compact
  def __call__(self, x, train=False):
    return nn.Dense(self.features)(x)


class Centred(nn.Module):
  """A dense layer of what is left without a mean that moves in training."""

  features: int

  @nn.compact
  def __call__(self, x, train=False):
    mean = self.variable('batch_stats', 'mean', lambda: jnp.zeros(x.shape[-1]))
    if train:
      mean.value = 0.5 * mean.value + 0.5 * x.mean(0)
    return nn.Dense(self.features)(x - mean.value)


NETS = {
  'generator': Centred(WIDTH),
  'critic': Plain(1),
  'shared': Plain(WIDTH),
  'frozen': Plain(WIDTH),
}


def game(tx=None) -> Method:
  """A critic of 5 turns against a generator of one. Both move the net 'shared', none 'frozen'."""

  def init(key, batch):
    return lens.init(NETS, key, dict.fromkeys(NETS, (batch['image'],)))

  def score(v, x):
    for name in ('frozen', 'shared', 'critic'):
      x, v = lens.apply(NETS, name, v, jnp.tanh(x), train=True)
    return x.mean()

  def fake(v, batch, key):
    noise = jax.random.normal(key, batch['image'].shape)
    return lens.apply(NETS, 'generator', v, noise, train=True)

  def critic(v, batch, key, hyper):
    x, _ = fake(v, batch, key)
    loss = hyper['weight'] * (score(v, x) - score(v, batch['image']))
    # What the generator's net holds is the generator's to move.
    return loss, ({'seen': batch['image'].sum()}, v.extra)

  def generator(v, batch, key, hyper):
    x, v = fake(v, batch, key)
    return -score(v, x), ({'first': batch['image'].sum()}, v.extra)

  tx = tx or optax.sgd(1.0)
  players = (
    Player('critic', critic, ('critic', 'shared'), tx, lr='lr_critic', turns=TURNS),
    Player('generator', generator, ('generator', 'shared'), tx),
  )
  return Method(init, players, sample=None, metrics=None, predict={})


def regression(tx=None) -> Method:
  """One player without noise, whose gradient is linear in its data: a mean over the batch."""

  def loss(v, batch, key, hyper):
    y, v = lens.apply(NETS, 'critic', v, batch['image'], train=True)
    value = jnp.mean(jnp.square(y - 3.0))
    return hyper['weight'] * value, ({'error': value}, v.extra)

  def init(key, batch):
    return lens.init({'critic': NETS['critic']}, key, {'critic': (batch['image'],)})

  players = (Player('fit', loss, ('critic',), tx or optax.sgd(1.0)),)
  return Method(init, players, sample=None, metrics=None, predict={})


take = jax.jit(turn, static_argnums=(0, 5))


@pytest.fixture(scope='module', autouse=True)
def quick():
  """Code that compiles in half the time: nothing here is about speed."""
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


def draws(n):
  """A draw of n vectors."""
  return lambda buffer, key, step: {
    'image': 1.0 + jax.random.normal(jax.random.fold_in(key, step), (n, WIDTH))
  }


def start(method: Method, seed=0, **hyper) -> State:
  return create_state(method, jax.random.key(seed), HYPER | hyper, EXAMPLE)


def batch_of(n, seed=7):
  return draws(n)({}, jax.random.key(seed), 0)


def moved(before: State, after: State) -> set[str]:
  """The nets whose params differ."""
  before, after = before.variables.params, after.variables.params
  differ = lambda a, b: any(jax.tree.leaves(jax.tree.map(lambda x, y: bool((x != y).any()), a, b)))
  return {net for net in before if differ(before[net], after[net])}


def assert_close(a, b, atol=1e-6):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    np.testing.assert_allclose(x, y, rtol=1e-5, atol=atol)


def test_part_takes_every_count_th_example():
  batch = {'image': jnp.arange(12).reshape(6, 2), 'label': jnp.arange(6)}
  np.testing.assert_array_equal(microbatch(batch, 1, 3)['label'], [1, 4])
  np.testing.assert_array_equal(microbatch(batch, 1, 3)['image'], [[2, 3], [8, 9]])


def test_a_round_is_its_turns_played_by_hand():
  method, batch = game(), batch_of(B * TURNS)
  state = first = start(method)
  after, metrics = jax.jit(make_step(method))(first, batch)
  key = jax.random.fold_in(jax.random.fold_in(first.key, 0), 0)
  found = {}
  for number, player in enumerate(method.players):
    for t in range(player.turns):
      examples = {'image': batch['image'].reshape(B, TURNS, WIDTH)[:, t]}
      turn_key = jax.random.fold_in(jax.random.fold_in(key, number), t)
      state, values = take(player, state, examples, turn_key, first.hyper, 1)
      found.setdefault(player.name, []).append(values['loss'])
  assert int(after.step) == 1
  assert_close(after.variables, state.variables)
  for name, losses in found.items():
    np.testing.assert_allclose(metrics['loss_' + name], np.mean(losses), rtol=1e-5)
  assert 'loss' not in metrics
  # The critic's turns saw every example once, the generator's the first part.
  np.testing.assert_allclose(metrics['seen'] * TURNS, batch['image'].sum(), rtol=1e-5)
  np.testing.assert_allclose(metrics['first'], batch['image'][::TURNS].sum(), rtol=1e-5)


def test_every_player_has_its_own_rate_and_it_is_logged():
  method, batch = game(), batch_of(B * TURNS)
  step = jax.jit(make_step(method))
  for rate, other, still in (('lr', 'lr_critic', 'generator'), ('lr_critic', 'lr', 'critic')):
    first = start(method, **{rate: 0.0})
    after, metrics = step(first, batch)
    assert moved(first, after) == {'generator', 'critic', 'shared'} - {still}
    assert metrics[rate] == 0
    assert metrics[other] == np.float32(HYPER[other])


def test_a_player_moves_what_it_owns_and_a_frozen_net_is_moved_by_none():
  method, first = game(optax.adam(1.0)), start(game(optax.adam(1.0)))
  for player in method.players:
    after, _ = take(player, first, batch_of(B), first.key, first.hyper, 1)
    assert moved(first, after) == set(player.owns)
    for other in method.players:
      same = jax.tree.map(
        lambda a, b: bool((a == b).all()), after.opt[other.name], first.opt[other.name]
      )
      assert all(jax.tree.leaves(same)) == (other is not player)


def test_extra_is_what_the_loss_returns():
  method, first = game(), start(game())
  for player, moves in zip(method.players, (False, True), strict=True):
    after, _ = take(player, first, batch_of(B), first.key, first.hyper, 1)
    mean, before = (s.variables.extra['generator']['batch_stats']['mean'] for s in (after, first))
    assert bool((mean != before).any()) == moves


def test_a_game_composes_traces_once_and_is_its_sweeps_member():
  method, traces, draw = game(), [], draws(B * TURNS)
  step = make_step(method)

  def counted(state, batch):
    traces.append(1)
    return step(state, batch)

  chunk = jax.jit(averaged_chunk(counted, draw))
  members = [start(method, seed, weight=1.0 + seed) for seed in (0, 1)]
  after = [chunk(state, {}, 6)[0] for state in members]
  halves = chunk(chunk(members[0], {}, 2)[0], {}, 4)[0]
  for x, y in zip(
    jax.tree.leaves(halves.variables), jax.tree.leaves(after[0].variables), strict=True
  ):
    np.testing.assert_array_equal(x, y)
  assert len(traces) == 1
  stack = jax.tree.map(lambda *x: jnp.stack(x), *members)
  swept, metrics = jax.jit(averaged_chunk(*make_sweep(step, draw)))(stack, {}, 6)
  assert metrics['loss_critic'].shape == (2,) and swept.step.tolist() == [6, 6]
  for number, one in enumerate(after):
    member = jax.tree.map(lambda x, n=number: x[n], swept.variables)
    assert_close(member, one.variables)


def test_microbatches_are_the_full_batch():
  method, batch = regression(), batch_of(12)
  first = start(method)
  whole, metrics = jax.jit(make_step(method))(first, batch)
  for k in (2, 3, 12):
    after, found = jax.jit(make_step(method, microbatches=k))(first, batch)
    assert_close(after.variables, whole.variables)
    assert_close(found, metrics)
  # One microbatch alone is another update.
  few, _ = jax.jit(make_step(method))(first, microbatch(batch, 0, 2))
  gap = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), few.variables, whole.variables)
  assert max(jax.tree.leaves(gap)) > 1e-3


def test_microbatches_have_noise_of_their_own_and_move_extra_in_turn():
  method, first = game(), start(game())
  generator, batch = method.players[1], batch_of(B)
  batch = {'image': jnp.concatenate([batch['image'][:1]] * B)}  # equal rows: noise is all there is
  after, metrics = take(generator, first, batch, first.key, first.hyper, 3)
  state, losses = first, []
  for i in range(3):
    key = jax.random.fold_in(first.key, i)
    still = {**first.hyper, 'lr': jnp.float32(0)}
    state, found = take(generator, state, microbatch(batch, i, 3), key, still, 1)
    losses.append(float(found['loss']))
  assert len(set(losses)) == 3
  np.testing.assert_allclose(metrics['loss'], np.mean(losses), rtol=1e-5)
  assert_close(after.variables.extra, state.variables.extra)


def test_the_average_is_the_formula():
  method, decay = game(), 0.3
  state = start(method)
  state = state.replace(ema=state.variables)
  step = jax.jit(make_step(method, ema=decay))
  expected = state.variables
  for number in range(4):
    state, _ = step(state, batch_of(B * TURNS, seed=number))
    rate = min(decay, (1 + number) / (10 + number))
    expected = jax.tree.map(lambda a, b, r=rate: r * a + (1 - r) * b, expected, state.variables)
  assert 3 / 12 < decay < 4 / 13  # both sides of the minimum were taken
  assert_close(state.ema, expected)
  assert averaged(state) is state.ema and averaged(state.replace(ema=None)) is state.variables


def test_without_an_average_none_is_kept():
  state, _ = make_step(regression())(start(regression()), batch_of(B))
  assert state.ema is None and averaged(state) is state.variables


def test_schedules_multiply_hyper_inside_the_step():
  method, batch = regression(), batch_of(B)
  schedules = {'lr': lambda step: 0.5**step, 'weight': lambda step: 1.0 + step}
  step = jax.jit(make_step(method, schedules))
  state = start(method)
  for number in range(3):
    by_hand = start(method, lr=0.1 * 0.5**number, weight=2.0 * (1 + number))
    by_hand = by_hand.replace(variables=state.variables)
    expected, values = make_step(method)(by_hand, batch)
    state, metrics = step(state, batch)
    np.testing.assert_allclose(metrics['lr'], 0.1 * 0.5**number, rtol=1e-6)
    np.testing.assert_allclose(metrics['loss'], values['loss'], rtol=1e-5)
    assert_close(state.variables, expected.variables)
  np.testing.assert_allclose(state.hyper['lr'], 0.1)  # what is scheduled is not what is kept


def test_a_runs_noise_is_of_its_key_and_step():
  method, batch = game(), batch_of(B * TURNS)
  step = jax.jit(make_step(method))
  first = start(method)
  loss = lambda **changes: float(step(first.replace(**changes), batch)[1]['loss_generator'])
  assert loss() == loss()
  assert len({loss(), loss(step=jnp.int32(1)), loss(key=jax.random.key(5))}) == 3


def test_metrics_are_means_over_the_chunk():
  method, draw = regression(), draws(B)
  step, state = make_step(method), start(regression())
  _, metrics = jax.jit(averaged_chunk(step, draw))(state, {}, 3)
  losses = []
  for _ in range(3):
    state, found = step(state, draw({}, state.key, state.step))
    losses.append(found['loss'])
  np.testing.assert_allclose(metrics['loss'], np.mean(losses), rtol=1e-5)


@pytest.mark.parametrize('seed', [0, 1])
def test_the_first_state_is_a_function_of_its_key(seed):
  one, same, other = (start(game(), s) for s in (seed, seed, seed + 1))
  assert moved(one, same) == set() and moved(one, other) == set(NETS)
  assert int(one.step) == 0 and one.ema is None
  assert {k: float(v) for k, v in one.hyper.items()} == pytest.approx(HYPER)
  assert isinstance(one.variables, Variables)
