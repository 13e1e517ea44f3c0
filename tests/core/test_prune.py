"""Pruning: its schedule, exactly as many zeros as wanted, which stay, in a game and in a sweep."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from chunks import averaged_chunk
from flax import linen as nn

from vaejax.config.base import base, player
from vaejax.core import optim, prune
from vaejax.core.stack import make_sweep
from vaejax.core.step import create_state, make_step
from vaejax.errors import UserError
from vaejax.nets import lens
from vaejax.types import Example, Method, Player

WIDTH, TURNS, STEPS = 4, 2, 10
EXAMPLE = Example({'image': jax.ShapeDtypeStruct((WIDTH,), jnp.float32)})
HYPER = {'lr': 0.02, 'lr_critic': 0.03}


class Net(nn.Module):
  """Two dense layers and a parameter that is no kernel."""

  features: int

  @nn.compact
  def __call__(self, x, train=False):
    x = x + self.param('mean', nn.initializers.normal(0.01), (2, WIDTH)).mean(0)
    return nn.Dense(self.features)(jnp.tanh(nn.Dense(7)(x)))


NETS = {'generator': Net(WIDTH), 'critic': Net(1)}


def game(optimizer, steps=STEPS) -> Method:
  """A critic of several turns against a generator of one, equipped by an `optimizer` section."""

  def fake(v, batch, key):
    noise = jax.random.normal(key, batch['image'].shape)
    return lens.apply(NETS, 'generator', v, noise)[0]

  def critic(v, batch, key, hyper):
    both = fake(v, batch, key), batch['image']
    low, high = (lens.apply(NETS, 'critic', v, x)[0].mean() for x in both)
    return low - high, ({}, v.extra)

  def generator(v, batch, key, hyper):
    return -lens.apply(NETS, 'critic', v, fake(v, batch, key))[0].mean(), ({}, v.extra)

  players = (
    Player('critic', critic, ('critic',), lr='lr_critic', turns=TURNS),
    Player('generator', generator, ('generator',)),
  )

  def init(key, batch):
    return lens.init(NETS, key, dict.fromkeys(NETS, (batch['image'],)))

  return optim.equip(Method(init, players, None, None, {}), optimizer, steps)


def section(**fields):
  """The `optimizer` section of a config."""
  optimizer = base('gan', {}).optimizer
  optimizer.update({'prune_every': 1} | fields)
  return optimizer


def start(method, seed=0, ema=False):
  state = create_state(method, jax.random.key(seed), HYPER, EXAMPLE)
  return state.replace(ema=state.variables) if ema else state


def draw(buffer, key, step):
  """A batch for all turns."""
  noise = jax.random.normal(jax.random.fold_in(key, step), (6 * TURNS, WIDTH))
  return {'image': 1.0 + noise}


def played(method, state, steps, ema=0.0):
  """Each state and its metrics after another step."""
  step = jax.jit(make_step(method, ema=ema))
  for _ in range(steps):
    state, metrics = step(state, draw({}, state.key, state.step))
    yield state, metrics


def zeros(params) -> list[np.ndarray]:
  """Where the kernels of a tree are 0, one array for each."""
  return [np.asarray(kernel) == 0 for kernel in jax.tree.leaves(prune.kernels(params))]


def share(masks) -> float:
  return sum(map(np.sum, masks)) / sum(map(np.size, masks))


@pytest.fixture(scope='module', autouse=True)
def quick():
  """Code that compiles in half the time: nothing here is about speed."""
  jax.config.update('jax_disable_most_optimizations', True)
  yield
  jax.config.update('jax_disable_most_optimizations', False)


@pytest.mark.parametrize('target, first, last', [(0.8, 3, 17), (0.5, 0, 1), (0.95, 0, 40)])
def test_the_schedule_is_the_formula(target, first, last):
  """Zhu & Gupta 2017, equation 1, from a sparsity of 0."""
  for t in range(last + 5):
    formula = target + (0 - target) * (1 - (t - first) / (last - first)) ** 3
    formula = 0 if t < first else target if t > last else formula
    found = jax.jit(prune.sparsity, static_argnums=(1, 2, 3))(t, target, first, last)
    assert float(found) == pytest.approx(formula, abs=1e-6)
  assert float(prune.sparsity(4, target, 4, 4)) == pytest.approx(target)
  assert float(prune.sparsity(3, target, 4, 4)) == 0


@pytest.mark.parametrize('seed', range(4))
def test_the_smallest_are_those_that_sorting_finds(seed):
  random = np.random.default_rng(seed)
  shapes = (5, 3), (2, 2, 4), (1, 9)
  # Equal magnitudes, zeros of both signs, and numbers far apart.
  values = np.array([0.0, -0.0, 1e-40, -1e-40, 0.5, -0.5, 3e38, -1e-8], np.float32)
  weights = [random.choice(values, shape) for shape in shapes]
  pruned = [random.random(shape) < 0.2 for shape in shapes]
  flat = lambda arrays: np.concatenate([np.ravel(x) for x in arrays])
  ranks = np.where(flat(pruned), -1, np.abs(flat(weights)))
  order = np.argsort(ranks, kind='stable')
  smallest = jax.jit(prune.smallest)
  for count in range(len(order) + 1):
    expected = np.isin(np.arange(len(order)), order[:count])
    found = smallest(list(map(jnp.asarray, weights)), list(map(jnp.asarray, pruned)), count)
    np.testing.assert_array_equal(flat(found), expected)


@pytest.mark.parametrize('by, name', [('global', 'adam'), ('layer', 'sgd')])
def test_as_many_are_zero_as_wanted_and_they_stay_so(by, name):
  """In the moving average too, and with momentum."""
  momentum = {'momentum': 0.9} if name == 'sgd' else {}
  optimizer = section(name=name, prune=0.7, prune_by=by, prune_end=0.6, **momentum)
  method, before = game(optimizer), None
  last = round(0.6 * STEPS)
  for number, (state, metrics) in enumerate(played(method, start(method, ema=True), STEPS, 0.9)):
    params, average = state.variables.params, state.ema.params
    masks = {net: zeros(params[net]) for net in NETS}
    for net, of_net in masks.items():
      assert metrics[f'sparsity_{net}'] == pytest.approx(share(of_net))
      assert (share(of_net) > 0) == (number > 1)
      for was, now in zip(before[net] if before else (), of_net, strict=bool(before)):
        assert now[was].all()
      for now, of_average in zip(of_net, zeros(average[net]), strict=True):
        np.testing.assert_array_equal(now, of_average)
      parts = [of_net] if by == 'global' else [[mask] for mask in of_net]
      for part in parts if number >= last else ():
        assert sum(map(np.sum, part)) == round(0.7 * sum(map(np.size, part)))
      assert (np.asarray(params[net]['mean']) != 0).all()
    before = masks
  weights = (np.concatenate(list(map(np.ravel, jax.tree.leaves(x)))) for x in (params, average))
  assert not np.array_equal(*weights)


def test_what_is_pruned_are_the_smallest_at_that_time():
  tx = prune.gradual_magnitude(0.5, start=0, end=3, every=2)
  params = {'net': {'kernel': jax.random.normal(jax.random.key(0), (6, 5)), 'bias': jnp.zeros(5)}}
  state, update = tx.init(params), jax.jit(tx.update)
  counts = []
  for t in range(6):
    magnitudes = np.sort(np.abs(params['net']['kernel']).ravel())
    change = jax.tree.map(lambda x, t=t: jnp.full_like(x, 0.01 * (t + 1)), params)
    before = np.asarray(params['net']['kernel'])
    change, state = update(change, state, params)
    params = optax.apply_updates(params, change)
    kernel = np.asarray(params['net']['kernel'])
    count = int((kernel == 0).sum())
    counts.append(count)
    if count:
      assert (np.abs(before[kernel == 0]) <= magnitudes[count - 1]).all()
    np.testing.assert_allclose(kernel[kernel != 0], before[kernel != 0] + 0.01 * (t + 1), rtol=1e-6)
  sparsity = [0.5 * (1 - (1 - t / 3) ** 3) for t in (0, 2)]
  assert counts == [0, 0, round(30 * sparsity[1]), 15, 15, 15]
  np.testing.assert_allclose(params['net']['bias'], 0.21, rtol=1e-6)


def test_a_member_of_a_sweep_is_the_single_run():
  method = game(section(name='sgd', momentum=0.9, prune=0.7))
  step, members = make_step(method, ema=0.5), [start(method, seed, ema=True) for seed in (0, 1)]
  chunk = jax.jit(averaged_chunk(step, draw))
  swept = jax.jit(averaged_chunk(*make_sweep(step, draw)))
  stack = jax.tree.map(lambda *x: jnp.stack(x), *members)
  stack, metrics = swept(stack, {}, STEPS)
  for number, member in enumerate(members):
    alone, of_alone = chunk(member, {}, STEPS)
    of_stack = jax.tree.map(lambda x, n=number: x[n], stack)
    for a, b in zip(*map(zeros, (alone.ema.params, of_stack.ema.params)), strict=True):
      np.testing.assert_array_equal(a, b)
    for a, b in zip(*map(jax.tree.leaves, (alone.variables, of_stack.variables)), strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert metrics['sparsity_critic'][number] == pytest.approx(of_alone['sparsity_critic'])


def test_without_it_a_state_is_as_before():
  method = game(section())
  assert all(p.constraint is None for p in method.players)
  state = start(method)
  for p in method.players:
    params = {name: state.variables.params[name] for name in p.owns}
    assert jax.tree.structure(state.opt[p.name]) == jax.tree.structure(p.tx.init(params))


def test_a_player_may_have_its_own():
  optimizer = section(prune=0.5)
  optimizer.critic = player(prune=0.0)
  critic, generator = game(optimizer).players
  assert critic.constraint is None and generator.constraint is not None
  optimizer = section()
  optimizer.critic = player(prune=0.5)
  critic, generator = game(optimizer).players
  assert critic.constraint is not None and generator.constraint is None


@pytest.mark.parametrize('steps', [1, 4])
def test_it_ends_before_the_run_does(steps):
  """However late it is asked to end."""
  params = {'critic': {'kernel': jnp.arange(1.0, 11.0).reshape(2, 5)}}
  late = section(prune=0.5, prune_start=1.0, prune_end=1.0)
  constraint = prune.constraint(late, Player('critic', None, ('critic',), turns=TURNS), steps)
  state, still = constraint.tx.init(params), jax.tree.map(jnp.zeros_like, params)
  for _ in range(steps * TURNS):
    change, state = constraint.tx.update(still, state, params)
  assert int(state.number) == 5
  np.testing.assert_array_equal(change['critic']['kernel'], [[-1, -2, -3, -4, -5], [0] * 5])
  assert constraint.metrics(state) == {'sparsity': 0.5}


def test_one_weight_is_left():
  (count,) = {int(prune.wanted(9, [jnp.zeros((1, n), bool)], 0.9999, 0, 5)) - n for n in (2, 7, 90)}
  assert count == -1


def test_mistakes_have_one_line():
  with pytest.raises(UserError, match=r"prune_by='layers' is unknown .did you mean 'layer'"):
    game(section(prune=0.5, prune_by='layers'))
  with pytest.raises(UserError, match=r'net has no kernels to prune. Set optimizer.prune=0$'):
    prune.gradual_magnitude(0.5, 0, 1).init({'net': {'mean': jnp.zeros((2, 2))}})
  with pytest.raises(ValueError, match='params'):
    tx = prune.gradual_magnitude(0.5, 0, 1)
    tx.update({}, tx.init({'net': {'kernel': jnp.zeros((2, 2))}}))
  both = [Player(name, None, ('decoder', name), optax.sgd(1.0)) for name in ('a', 'b')]
  with pytest.raises(UserError, match=r'^decoder cannot be pruned: a and b both train it'):
    optim.equip(Method(None, tuple(both), None, None, {}), section(prune=0.5))
  optim.equip(Method(None, tuple(both), None, None, {}), section())
