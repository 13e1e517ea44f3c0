"""The VAE-GAN's players: what each minimises, and what its terms reach."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

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


def test_the_critic_sees_samples_and_reconstructions(game):
  """Of what is message from data, one half does not know the data, and the other does."""
  _, method, v, batch = game
  logits = lambda x: jax.jit(method.metrics)(v, {'image': x}, KEY, OFF)['logit_fake']
  moved = np.abs(logits(batch['image']) - logits(1 - batch['image']))
  assert (moved[:3] == 0).all() and (moved[3:] > 1e-6).all()


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
