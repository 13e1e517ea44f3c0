"""UNIT: what its players move, that the shared layers are shared, and that a toy translation is
learned."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from chunks import averaged_chunk

from vaejax.config.load import load_config
from vaejax.core.step import create_state, make_step
from vaejax.data.sets.digits import read
from vaejax.distributions import per_example
from vaejax.errors import UserError
from vaejax.methods import unit
from vaejax.nets import lens
from vaejax.nets import unit as nets_of
from vaejax.types import Example

KEY, N = jax.random.key(3), 6
HYPER = {'beta': 0.3, 'cycle': 0.7, 'adversarial': 5.0, 'penalty': 0.0}
SHAPE = (8, 8, 3)


@pytest.fixture(autouse=True)
def here(project):
  """The configs are found from the project's folder."""


@cache
def config(**fields):
  found = load_config('configs/unit.py:smoke,model.critic.norm=none')
  for name, value in fields.items():
    with found.unlocked():
      found.update_from_flattened_dict({name.replace('__', '.'): value})
  return found


@cache
def example():
  return Example(dict.fromkeys(nets_of.DOMAINS, jax.ShapeDtypeStruct(SHAPE, jnp.float32)))


@cache
def made():
  return unit.make(config(), example())


@cache
def data():
  random = np.random.default_rng(7)
  return {name: random.random((N, *SHAPE), np.float32) for name in nets_of.DOMAINS}


@cache
def variables():
  return jax.jit(made().init)(jax.random.key(0), {k: x[:1] for k, x in data().items()})


def gradients(loss):
  """{net: the largest gradient of a loss of the variables in it}."""
  v = variables()
  of = jax.jit(jax.grad(lambda params: loss(v.replace(params=params))))(v.params)
  return {net: max(float(jnp.abs(x).max()) for x in jax.tree.leaves(of[net])) for net in of}


@pytest.mark.parametrize('domain', nets_of.DOMAINS)
def test_one_domain_moves_the_shared_layers_and_its_own_nets(domain):
  """The reconstruction of one domain has a gradient in both shared nets, and none in the nets of
  the other domain."""
  nets = nets_of.make(config().model, example())

  def loss(v):
    h, _ = lens.apply(nets, f'encoder_{domain}', v, data()[domain])
    q, _ = lens.apply(nets, 'shared_encoder', v, h)
    h, _ = lens.apply(nets, 'shared_decoder', v, q.sample(KEY))
    p, _ = lens.apply(nets, f'decoder_{domain}', v, h)
    return -jnp.sum(p.log_prob(data()[domain]))

  of = gradients(loss)
  for net in ('shared_encoder', 'shared_decoder', f'encoder_{domain}', f'decoder_{domain}'):
    assert of[net] > 0
  for net in ('encoder', 'decoder'):
    assert of[f'{net}_{unit.other(domain)}'] == 0


def test_the_two_directions_use_the_same_shared_nets():
  """Without the shared encoder's weights, both directions give constant latents."""
  v = variables()
  zero = jax.tree.map(jnp.zeros_like, v.params['shared_encoder'])
  blank = v.replace(params={**v.params, 'shared_encoder': zero})
  for name, field in (('to_image', 'image'), ('to_source', 'source')):
    translate = jax.jit(made().predict[name])
    assert np.ptp(np.asarray(translate(v, data(), KEY)[field]), axis=0).max() > 1e-3
    assert np.ptp(np.asarray(translate(blank, data(), KEY)[field]), axis=0).max() < 1e-6


def test_each_player_moves_only_what_it_owns():
  method = unit.make(config(model__critic__norm='spectral'), example())
  v = jax.jit(method.init)(jax.random.key(0), {k: x[:1] for k, x in data().items()})
  owned = {player.name: set(player.owns) for player in method.players}
  assert owned['critic'] == {'critic_image', 'critic_source'}
  assert owned['critic'] | owned['autoencoder'] == set(v.params)
  assert not owned['critic'] & owned['autoencoder']
  for player in method.players:
    loss = jax.jit(partial(player.loss, batch=data(), key=KEY, hyper=HYPER))
    _, (_, extra) = loss(v)
    moved = {
      n for n in v.extra if any(jax.tree.leaves(jax.tree.map(differs, v.extra[n], extra[n])))
    }
    assert moved == ({'critic_image', 'critic_source'} if player.name == 'critic' else set())


def differs(a, b) -> bool:
  return bool((a != b).any())


def test_the_loss_is_the_sum_of_its_terms():
  """Recomputed from the nets, for the domain 'source' and with the keys of the method."""
  nets, v, batch = nets_of.make(config().model, example()), variables(), data()
  value, metrics = jax.jit(
    lambda v: (
      made().players[1].loss(v, batch, KEY, HYPER)[0],
      made().metrics(v, batch, KEY, HYPER),
    )
  )(v)
  means = {name: float(jnp.mean(x)) for name, x in metrics.items()}
  total = 0.0
  for suffix in ('', '_source'):
    total += means['recon' + suffix] + 0.3 * means['kl' + suffix]
    total += 0.7 * (means['cycle' + suffix] + 0.3 * means['cycle_kl' + suffix])
    total += 5.0 * means['adversarial' + suffix]
  assert float(value) == pytest.approx(total, rel=1e-4)
  assert means['loss'] == pytest.approx(total, rel=1e-4)
  apply = lambda name, x: lens.apply(nets, name, v, x)[0]
  encoded = lambda domain, x: apply('shared_encoder', apply(f'encoder_{domain}', x))
  decoded = lambda domain, z: apply(f'decoder_{domain}', apply('shared_decoder', z))
  z_key, cycle_key = jax.random.split(jax.random.fold_in(KEY, 1))
  y = decoded('image', encoded('source', batch['source']).sample(z_key)).mean
  q_y = encoded('image', y)
  cycle = -per_example(decoded('source', q_y.sample(cycle_key)).log_prob(batch['source']))
  assert means['cycle_source'] == pytest.approx(float(jnp.mean(cycle)), rel=1e-4)


def test_a_translation_begins_as_a_reconstruction():
  """The nets of both domains begin with the same weights, where their shapes are equal."""
  x = data()['source']
  translated, reconstructed = (
    jax.jit(made().predict[name])(variables(), {field: x}, KEY)['image']
    for name, field in (('to_image', 'source'), ('reconstruct', 'image'))
  )
  np.testing.assert_allclose(translated, reconstructed, atol=1e-6)


def test_mistakes():
  one = Example({'image': jax.ShapeDtypeStruct((8, 8, 1), jnp.float32)})
  with pytest.raises(UserError, match=r'digits has one\. Set data\.source'):
    unit.make(config(), one)
  with pytest.raises(UserError, match=r'model\.patch=3 divides, but their images are 8x8'):
    unit.make(config(model__patch=3), example())
  with pytest.raises(UserError, match='sigma_vae fits its scale'):
    unit.make(config(model__likelihood='sigma_vae'), example())
  with pytest.raises(UserError, match=r'critic\.net=mlp has no patches'):
    unit.make(config(model__critic__net='mlp'), example())


def test_inverted_digits_are_translated_without_pairs(project):
  """After some hundred steps on digits and inverted digits of other rows, the translation of a new
  digit is nearer to its inverse than the digit itself."""
  digits = jnp.asarray(read()[0] / 255, jnp.float32)
  train, test = digits[:1400], digits[1500:]
  n = 32

  def draw(buffer, key, step):
    one, two = jax.random.split(jax.random.fold_in(key, step))
    pick = lambda key: train[jax.random.randint(key, (n,), 0, len(train))]
    return {'source': pick(one), 'image': 1 - pick(two)}

  shape = jax.ShapeDtypeStruct((8, 8, 1), jnp.float32)
  toy = Example({'image': shape, 'source': shape})
  method = unit.make(config(), toy)
  tx = optax.adam(1.0, b1=0.5)
  method = method._replace(players=tuple(p._replace(tx=tx) for p in method.players))
  hyper = {'lr': 2e-3, 'lr_critic': 2e-3, 'beta': 0.01, 'cycle': 1.0, 'adversarial': 100.0}
  state = create_state(method, jax.random.key(0), {**hyper, 'penalty': 0.0}, toy)
  state, _ = jax.jit(averaged_chunk(make_step(method), draw))(state, {}, 300)
  y = method.predict['to_image'](state.variables, {'source': test}, KEY)['image']
  back = method.predict['to_source'](state.variables, {'image': 1 - test}, KEY)['source']
  error = lambda a, b: float(jnp.mean(jnp.abs(a - b)))
  assert error(y, 1 - test) < 0.5 * error(test, 1 - test)
  assert error(back, test) < 0.5 * error(test, 1 - test)
