"""The GAN's players: what each one sees and moves, and where the game ends on known toys."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from chunks import averaged_chunk, jit_as_users
from flax import linen as nn

from vaejax.config.load import load_config, set_field
from vaejax.core.step import create_state, make_step
from vaejax.errors import UserError
from vaejax.methods import gan
from vaejax.nets.adversarial import Critic, Generator
from vaejax.nets.mlp import Mlp, MlpDecoder
from vaejax.types import Example

POINT = (1, 1, 2)
PLANE = Example({'image': jax.ShapeDtypeStruct(POINT, jnp.float32)}, None, -3.0, 3.0)


class Shift(nn.Module):
  """Samples of N(`mean`, 1) on a line, as images of one pixel; nothing in it is ever trained."""

  mean: float

  @nn.compact
  def __call__(self, z, label=None, train=False):
    return (z[:, :1] + self.mean).reshape(-1, 1, 1, 1)


class Line(nn.Module):
  """A linear critic."""

  @nn.compact
  def __call__(self, x, label=None, train=False):
    x = x.reshape(x.shape[0], -1)
    return nn.Dense(1)(x)[:, 0], x


@pytest.mark.parametrize('loss', ['minimax', 'non_saturating'])
def test_the_best_critic_is_the_log_density_ratio(loss):
  """Of N(0, 1) to N(1, 1): log p(x)/q(x) = 1/2 - x, which a line can be."""
  example = Example({'image': jax.ShapeDtypeStruct((1, 1, 1), jnp.float32)})
  method = gan.gan({'generator': Shift(1.0), 'critic': Line()}, 1, loss)
  critic = method.players[0]._replace(tx=optax.adam(1.0))
  method = method._replace(players=(critic,))
  # A Newton step costs nothing here, but the engine's own step is what is tested.
  state = create_state(method, jax.random.key(0), {'lr_critic': 0.01, 'penalty': 0.0}, example)
  draw = lambda buffer, key, step: {
    'image': jax.random.normal(jax.random.fold_in(key, step), (4096, 1, 1, 1))
  }
  step = make_step(method, {'lr_critic': lambda step: 1 / (1 + step / 100)})
  state, _ = jax.jit(averaged_chunk(step, draw))(state, {}, 1000)
  dense = state.variables.params['critic']['Dense_0']
  assert float(dense['bias'][0]) == pytest.approx(0.5, abs=0.04)
  assert float(dense['kernel'][0, 0]) == pytest.approx(-1.0, abs=0.06)


def config(**fields):
  found = load_config('configs/gan.py:smoke')
  for name, value in fields.items():
    set_field(found, name.replace('__', '.'), value)
  return found


@pytest.fixture
def example(project):
  fields = {'image': jax.ShapeDtypeStruct((8, 8, 1), jnp.float32)}
  return Example({**fields, 'label': jax.ShapeDtypeStruct((), jnp.int32)}, 10)


def batch(n=6):
  image = jax.random.uniform(jax.random.key(3), (n, 8, 8, 1))
  return {'image': image, 'label': jnp.arange(n) % 10}


@pytest.mark.parametrize('norm', ['none', 'spectral', 'group'])
def test_a_player_moves_its_own_statistics_only(example, norm):
  made = config(model__critic__norm=norm)
  method = gan.make(made, example)
  v = method.init(jax.random.key(0), batch())
  assert 'generator' in v.extra and ('critic' in v.extra) == (norm == 'spectral')
  moved = {}
  for player in method.players:
    _, (_, extra) = player.loss(v, batch(), jax.random.key(1), {'penalty': 1.0})
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), extra, dict(v.extra))
    moved[player.name] = {net for net in changed if any(jax.tree.leaves(changed[net]))}
  assert moved['generator'] == {'generator'}
  assert moved['critic'] == ({'critic'} if norm == 'spectral' else set())


def test_spectral_norm_divides_by_the_largest_singular_value(example):
  critic = Critic(Mlp((7,), norm='spectral'), norm='spectral')
  x = batch()['image']
  v = critic.init(jax.random.key(0), x)
  for _ in range(50):
    _, moved = critic.apply(v, x, train=True, mutable=['batch_stats'])
    v = {**v, **moved}
  kernels = jax.tree.leaves(jax.tree.map(np.asarray, v['params']))
  stats = jax.tree.leaves_with_path(v['batch_stats'])
  sigmas = [float(value) for path, value in stats if 'sigma' in jax.tree_util.keystr(path)]
  want = sorted(np.linalg.norm(k, 2) for k in kernels if k.ndim == 2)
  np.testing.assert_allclose(sorted(sigmas), want, rtol=1e-3)


def test_spectral_norm_is_near_the_largest_singular_value_from_the_first_step(example):
  """Initialisation runs 15 power iterations: after one alone, it was off by a fifth."""
  critic = Critic(Mlp((64,), norm='spectral'), norm='spectral')
  x = batch()['image']
  step = jax.jit(lambda v: critic.apply(v, x, train=True, mutable=['batch_stats'])[1])
  for seed in range(5):
    v = critic.init(jax.random.key(seed), x)
    stats = jax.tree.leaves_with_path(step(v)['batch_stats'])
    sigma = [float(s) for path, s in stats if 'sigma' in jax.tree_util.keystr(path)]
    kernels = [np.asarray(k) for k in jax.tree.leaves(v['params']) if k.ndim == 2]
    want = sorted(np.linalg.norm(k, 2) for k in kernels)
    np.testing.assert_allclose(sorted(sigma), want, rtol=0.03)


@pytest.mark.parametrize('penalty', ['gradient', 'r1'])
def test_a_penalty_is_the_difference_that_its_weight_makes(example, penalty):
  made = config(objective__penalty=penalty)
  method = gan.make(made, example)
  v = method.init(jax.random.key(0), batch())
  critic = method.players[0]
  loss = lambda weight: critic.loss(v, batch(), jax.random.key(1), {'penalty': weight})
  (none, (found, _)), (some, _) = loss(0.0), loss(4.0)
  assert float(some - none) == pytest.approx(4 * float(found['slope_penalty']), rel=1e-5)
  assert found['slope_penalty'] > 0


def test_labels_reach_both_nets_and_the_samples(example):
  method = gan.make(config(model__conditional='True'), example)
  v = method.init(jax.random.key(0), batch())
  other = {**batch(), 'label': (batch()['label'] + 1) % 10}
  logit = lambda b: method.predict['criticise'](v, b, None)['logit']
  assert (logit(batch()) != logit(other)).all()
  draw = lambda label: method.sample(v, jax.random.key(2), 3, {'label': jnp.full(3, label)})
  assert (draw(1)['image'] != draw(2)['image']).any()
  assert method.given == ('label',)
  assert method.sample(v, jax.random.key(2), 3, {})['image'].shape == (3, 8, 8, 1)
  assert gan.make(config(), example).given == ()


def test_a_pack_has_the_channels_of_its_images_in_a_row():
  x = jnp.arange(4 * 2 * 3 * 2).reshape(4, 2, 3, 2)
  packs = gan.pack(x, 2)
  assert packs.shape == (2, 2, 3, 4)
  np.testing.assert_array_equal(packs[1], jnp.concatenate([x[2], x[3]], axis=-1))


@pytest.mark.parametrize('penalty', ['none', 'gradient', 'r1'])
def test_the_critic_of_a_pack_is_given_all_of_its_images_and_labels(example, penalty):
  """The critic's loss of packs of two is that of a GAN without packing whose images are the packs
  and whose classes are the pairs of labels."""
  made = config(model__conditional='True', objective__packing='2', objective__penalty=penalty)
  method = gan.make(made, example)
  v = jax.tree.map(lambda x: x + 0.01, method.init(jax.random.key(0), batch()))
  hyper, key = {'penalty': 3.0}, jax.random.key(1)
  loss = jax.jit(method.players[0].loss)(v, batch(), key, hyper)[0]
  nets = gan.nets_of.make(made.model, example, 2)
  apply = partial(gan.lens.apply, nets)
  z_key, mix_key = jax.random.split(key)
  x, label = batch()['image'], batch()['label']
  fake, _ = apply('generator', v, jax.random.normal(z_key, (6, 4)), label, train=True)
  packs = lambda x: jnp.concatenate([x[::2], x[1::2]], axis=-1)
  pairs = jnp.stack([label[::2], label[1::2]], axis=-1)
  want = gan.critic_objective(
    apply, 'non_saturating', penalty, v, (packs(x), pairs), (packs(fake), pairs), mix_key, hyper
  )[0]
  np.testing.assert_allclose(loss, want, rtol=1e-5)
  other = {**batch(), 'label': batch()['label'].at[1].set(7)}  # of the second image of a pack
  assert jax.jit(method.players[0].loss)(v, other, key, hyper)[0] != loss
  assert 'criticise' not in method.predict and method.previous == 1


def test_a_row_is_tested_in_a_pack_with_the_rows_before_it(example):
  method = gan.make(config(objective__packing='2'), example)
  v = jax.tree.map(lambda x: x + 0.01, method.init(jax.random.key(0), batch()))
  logit = jax.jit(lambda b: method.metrics(v, b, jax.random.key(1), {})['logit_real'])
  changed = {**batch(), 'image': batch()['image'].at[2].add(0.5)}
  assert list(np.flatnonzero(logit(batch()) != logit(changed))) == [2, 3]


@pytest.mark.parametrize(
  'fields, message',
  [
    ({'objective__packing': '3'}, 'packing=3 does not divide batch_size=16. .* multiple of 3'),
    (
      {'objective__packing': '4', 'optimizer__accumulate': '8'},
      'packing=4 does not divide batch_size / optimizer.accumulate=2. .* multiple of 32',
    ),
    ({'objective__name': 'wgan'}, "objective.name='wgan' is unknown"),
    ({'objective__penalty': 'r2'}, 'Choose one of gradient, none, r1'),
    ({'objective__penalty': 'r1', 'model__critic__norm': 'batch'}, 'norm=batch does not'),
  ],
)
def test_mistakes(example, fields, message):
  with pytest.raises(UserError, match=message):
    gan.make(config(**fields), example)


def test_classes_are_wanted_where_it_is_conditional(example):
  with pytest.raises(UserError, match='digits has no classes'):
    gan.make(config(model__conditional='True'), example._replace(classes=None))


def ring():
  angle = 2 * np.pi * np.arange(8) / 8
  return 2 * np.stack([np.cos(angle), np.sin(angle)], -1), 0.05


def grid():
  side = np.linspace(-2, 2, 5)
  return np.stack(np.meshgrid(side, side), -1).reshape(-1, 2), 0.05


@pytest.mark.slow
@pytest.mark.parametrize('loss', ['hinge', 'wasserstein'])
@pytest.mark.parametrize('modes', [ring, grid])
def test_every_mode_is_found(modes, loss):
  """A mode is found where at least 1 % of the samples lie within four standard deviations."""
  centres, scale = modes()
  centres = jnp.asarray(centres, jnp.float32)
  penalty, weight, turns, steps = 'r1', 0.01, 1, 6000
  if loss == 'wasserstein':
    penalty, weight, turns, steps = 'gradient', 0.1, 5, 2500
  nets = {
    'generator': Generator(MlpDecoder(POINT, (128, 128, 128)), -3.0, 3.0),
    'critic': Critic(Mlp((128, 128, 128), 'leaky_relu')),
  }
  method = gan.gan(nets, 2, loss, penalty, turns)
  tx = optax.adam(1.0, b1=0.0, b2=0.9)
  method = method._replace(players=tuple(p._replace(tx=tx) for p in method.players))
  n = 256 * turns

  def draw(buffer, key, step):
    which, noise = jax.random.split(jax.random.fold_in(key, step))
    place = centres[jax.random.randint(which, (n,), 0, len(centres))]
    return {'image': (place + scale * jax.random.normal(noise, (n, 2))).reshape(-1, *POINT)}

  hyper = {'lr': 1e-3, 'lr_critic': 1e-3, 'penalty': weight}
  state = create_state(method, jax.random.key(0), hyper, PLANE)
  state = state.replace(ema=state.variables)
  falls = lambda step: jnp.maximum(0.05, 1 - step / steps)
  step = make_step(method, {'lr': falls, 'lr_critic': falls}, ema=0.99)
  state, _ = jit_as_users(averaged_chunk(step, draw))(state, {}, steps)
  samples = method.sample(state.ema, jax.random.key(1), 10_000)['image'].reshape(-1, 2)
  distance = np.linalg.norm(np.asarray(samples)[:, None] - np.asarray(centres), axis=-1)
  share = np.mean(distance < 4 * scale, axis=0)
  assert (share > 0.01).all() and share.sum() > 0.5, share
