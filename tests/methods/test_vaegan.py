"""The VAE-GAN's players: what each minimises, and what its terms reach."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from vaejax.config.load import load_config, set_field
from vaejax.errors import UserError
from vaejax.methods import vae, vaegan
from vaejax.nets import adversarial, autoencoder, lens
from vaejax.nets.priors import standard
from vaejax.types import Example

KEY = jax.random.key(4)
OFF = {'beta': 0.0, 'features': 0.0, 'pixels': 0.0, 'adversarial': 0.0, 'penalty': 1.0}
EXAMPLE = Example({'image': jax.ShapeDtypeStruct((8, 8, 1), jnp.float32)})
ROOT = Path(__file__).parents[2]


def config(words='smoke', **fields):
  found = load_config(f'{ROOT}/configs/vaegan.py:{words}')
  for name, value in fields.items():
    set_field(found, name.replace('__', '.'), value)
  return found


@pytest.fixture(scope='module')
def game():
  """The nets, their method, variables that are not at their start, and a batch."""
  settings = config()
  nets = autoencoder.make(settings.model, EXAMPLE)
  nets |= {'critic': adversarial.critic(settings.model.critic, EXAMPLE)}
  method = vaegan.make(settings, EXAMPLE)
  batch = {'image': jax.random.uniform(jax.random.key(3), (6, 8, 8, 1))}
  v = jax.jit(method.init)(jax.random.key(0), batch)
  return nets, method, jax.tree.map(lambda x: 1.3 * x + 0.01, v), batch


@pytest.fixture(scope='module')
def slopes(game):
  """hyper -> value and gradient of the autoencoder's loss, over the params of all nets."""
  _, method, v, batch = game
  assert [player.name for player in method.players] == ['critic', 'autoencoder']
  loss = method.players[1].loss
  value = lambda params, hyper: loss(v.replace(params=params), batch, KEY, hyper)
  found = jax.jit(jax.value_and_grad(value, has_aux=True))
  return lambda **weights: found(v.params, OFF | weights)


@pytest.mark.slow
def test_by_its_pixels_alone_it_is_the_vae(game, slopes):
  """Value and gradient, at the same draw."""
  nets, _, v, batch = game
  nets = {name: nets[name] for name in ('encoder', 'decoder')}
  plain = vae.vae(nets, standard.make(None, (4,), EXAMPLE), 4, EXAMPLE)
  key, _ = jax.random.split(KEY)
  hyper = {'beta': 2.0, 'capacity': 0.0, 'free_bits': 0.0}
  value = lambda params: plain.players[0].loss(v.replace(params=params), batch, key, hyper)[0]
  want, wanted = jax.jit(jax.value_and_grad(value))(v.params)
  (got, _), found = slopes(pixels=1.0, beta=2.0)
  np.testing.assert_allclose(got, want, rtol=1e-5)
  for name in ('encoder', 'decoder', 'critic'):
    for a, b in zip(*map(jax.tree.leaves, (found[name], wanted[name])), strict=True):
      np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_features_are_half_the_squared_distance_of_the_critics(game, slopes):
  nets, _, v, batch = game
  (value, (terms, _)), _ = slopes(features=1.0)
  z_key, _ = jax.random.split(KEY)

  @jax.jit
  def by_hand(v, x):
    q, _ = lens.apply(nets, 'encoder', v, x, train=True)
    p, _ = lens.apply(nets, 'decoder', v, q.sample(z_key), train=True)
    seen = [lens.apply(nets, 'critic', v, image, train=True)[0][1] for image in (x, p.mean)]
    return 0.5 * jnp.square(seen[0] - seen[1]).sum(-1).mean()

  np.testing.assert_allclose(value, by_hand(v, batch['image']), rtol=1e-5)
  np.testing.assert_allclose(terms['features'], value, rtol=1e-6)
  assert value > 0.1


def test_the_adversarial_loss_moves_the_decoder_alone(slopes):
  size = lambda tree: max(float(jnp.abs(x).max()) for x in jax.tree.leaves(tree))
  _, found = slopes(adversarial=1.0)
  assert size(found['encoder']) == 0 and size(found['decoder']) > 1e-4
  _, found = slopes(features=1.0)
  assert size(found['encoder']) > 1e-4 and size(found['decoder']) > 1e-4


def test_the_critic_sees_each_image_its_reconstruction_and_a_sample(game):
  """Larsen et al., algorithm 1: -log D(x) - log(1 - D(x̂)) - log(1 - D(x_p))."""
  settings, batch = config('smoke,non_saturating'), game[-1]
  method = vaegan.make(settings, EXAMPLE)
  nets = game[0] | {'critic': adversarial.critic(settings.model.critic, EXAMPLE)}
  v = jax.jit(method.init)(jax.random.key(0), batch)
  loss = jax.jit(method.players[0].loss)(v, batch, KEY, OFF)[0]
  z_key, prior_key, _ = jax.random.split(KEY, 3)

  @jax.jit
  def by_hand(v, x):
    q, _ = lens.apply(nets, 'encoder', v, x, train=True)
    codes = jnp.concatenate([q.sample(z_key), jax.random.normal(prior_key, (6, 4))])
    fakes = lens.apply(nets, 'decoder', v, codes, train=True)[0].mean
    images = x, fakes[:6], fakes[6:]
    return [jax.nn.sigmoid(lens.apply(nets, 'critic', v, image)[0][0]) for image in images]

  real, again, drawn = by_hand(v, batch['image'])
  want = -jnp.log(real) - jnp.log(1 - again) - jnp.log(1 - drawn)
  np.testing.assert_allclose(loss, want.mean(), rtol=1e-5)


def test_reconstructions_and_samples_together_weigh_as_data_with_wasserstein(game):
  """So a constant that is added to the logits does not change the loss."""
  method = vaegan.make(config('smoke,wasserstein'), EXAMPLE)
  v = jax.jit(method.init)(jax.random.key(0), game[-1])
  loss = jax.jit(lambda v: method.players[0].loss(v, game[-1], KEY, OFF | {'penalty': 0.0})[0])
  moved = jax.tree.map(lambda x: x, v)
  moved.params['critic']['Dense_0']['bias'] += 3.0
  np.testing.assert_allclose(loss(v), loss(moved), atol=1e-5)


def test_features_of_a_layer_are_its_maps():
  critic = ConfigDict({**config().model.critic, 'net': 'conv', 'channels': (4, 5), 'layer': 1})
  image = jax.random.uniform(jax.random.key(1), (2, 8, 8, 1))
  first = adversarial.critic(critic, EXAMPLE)
  critic.layer = 0
  last = adversarial.critic(critic, EXAMPLE)
  v = first.init(jax.random.key(0), image)
  assert jax.tree.structure(v) == jax.tree.structure(last.init(jax.random.key(0), image))
  (logit, maps), (same, features) = first.apply(v, image), last.apply(v, image)
  assert maps.shape == (2, 4, 4, 4) and features.ndim == 2
  np.testing.assert_array_equal(logit, same)
  critic.layer = 3
  with pytest.raises(UserError, match=r'layer=3 is not .* which has 2'):
    adversarial.critic(critic, EXAMPLE)


def test_a_player_moves_its_own_statistics_only(game):
  """The decoder's BatchNorm in one turn, the critic's spectral norm in the other."""
  settings = config(model__norm='batch')
  method = vaegan.make(settings, EXAMPLE)
  batch, hyper = game[-1], OFF | {'features': 1.0}
  v = jax.jit(method.init)(jax.random.key(0), batch)
  moved = {}
  for player in method.players:
    _, (_, extra) = jax.jit(partial(player.loss, hyper=hyper))(v, batch, KEY)
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), extra, dict(v.extra))
    moved[player.name] = {net for net in changed if any(jax.tree.leaves(changed[net]))}
  assert moved == {'critic': {'critic'}, 'autoencoder': {'encoder', 'decoder'}}


@pytest.mark.parametrize(
  'fields, message',
  [
    ({'objective__name': 'wgan'}, "objective.name='wgan' is unknown"),
    ({'objective__penalty': 'r1', 'model__critic__norm': 'batch'}, 'norm=batch does not'),
    ({'model__likelihood': 'sigma_vae'}, 'Set it to gaussian_scalar'),
  ],
)
def test_mistakes(fields, message):
  with pytest.raises(UserError, match=message):
    vaegan.make(config(**fields), EXAMPLE)


def test_a_config_takes_one_loss():
  with pytest.raises(UserError, match='hinge and wasserstein exclude each other'):
    config('hinge,wasserstein')
