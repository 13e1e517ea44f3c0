"""The VAE's objectives against what defines them, and what it says of itself."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from ml_collections import ConfigDict

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.distributions import kl, per_example, standard
from vaejax.errors import UserError
from vaejax.methods import vae
from vaejax.nets import autoencoder, lens
from vaejax.types import Example

N, L, SHAPE = 4, 3, (4, 5, 1)
SMALL = {'widths': (5,), 'latents': L, 'likelihood': 'bernoulli', 'activation': 'tanh'}
HYPER = {'lr': 1e-3, 'beta': 1.0, 'capacity': 0.0, 'free_bits': 0.0}
KEY = jax.random.key(7)


def example(low=0.0, high=1.0, levels=2):
  return Example({'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)}, None, low, high, levels)


def config(objective=None, **model):
  found = base('vae', HYPER)
  found.objective = {'name': 'elbo', 'samples': 1, 'kl': 'analytic'} | (objective or {})
  found.model = ConfigDict(presets.AUTOENCODER | SMALL | model)
  return found


@cache
def data():
  image = jax.random.bernoulli(jax.random.key(1), 0.3, (N, *SHAPE))
  return {'image': image.astype(jnp.float32)}


def initial(method):
  return jax.jit(method.init)(jax.random.key(0), data())


@cache
def variables():
  """Of every case here: an objective changes no net. Wide, so that no term is near zero."""
  method = vae.make(config(), example())
  v = initial(method)
  return jax.tree.map(lambda x: 2 * x + 0.1, v)


@cache
def posterior():
  nets = autoencoder.make(config().model, example())
  return jax.jit(lambda v: lens.apply(nets, 'encoder', v, data()['image'])[0])(variables())


@cache
def measured(name='elbo', samples=1, kl='analytic'):
  """(key, changes of hyper) -> {metric: [N]}, compiled once."""
  method = vae.make(config({'name': name, 'samples': samples, 'kl': kl}), example())

  @jax.jit
  def metrics(v, batch, key, hyper):
    return method.pooled(method.metrics(v, batch, key, hyper), hyper)

  def measure(key=KEY, **hyper):
    found = metrics(
      variables(), data(), key, {k: jnp.asarray(v) for k, v in (HYPER | hyper).items()}
    )
    return jax.tree.map(lambda x: np.asarray(x, np.float64), found)

  return measure


@pytest.mark.parametrize('samples', [1, 3])
def test_the_analytic_elbo_is_recon_and_kl_at_weight_one(samples):
  q = posterior()
  want = per_example(kl(q, standard((N, L))))
  plain, heavy = measured(samples=samples)(), measured(samples=samples)(beta=4.0)
  for found in (plain, heavy):
    assert all(value.shape == (N,) for value in found.values())
    assert np.allclose(found['elbo'], -(found['recon'] + found['kl']), rtol=1e-6)
    assert np.allclose(found['kl'], want, rtol=1e-5)
  assert np.allclose(plain['loss'], -plain['elbo'], rtol=1e-6)
  assert np.allclose(heavy['loss'], heavy['recon'] + 4 * heavy['kl'], rtol=1e-6)
  assert np.array_equal(plain['elbo'], heavy['elbo'])


def test_more_samples_are_a_mean_of_draws():
  one = [measured()(jax.random.key(i))['recon'] for i in range(300)]
  many = [measured(samples=3)(jax.random.key(i))['recon'] for i in range(300)]
  error = np.std(one, 0) / np.sqrt(300)
  assert (np.abs(np.mean(one, 0) - np.mean(many, 0)) < 6 * error).all()
  # A third of the variance, which 300 draws know to 10 %.
  ratio = np.var(many, 0) / np.var(one, 0)
  assert (np.abs(ratio - 1 / 3) < 0.15).all()


def test_iwae_of_one_sample_is_the_sampled_elbo():
  iwae, elbo = measured('iwae')(), measured(kl='sampled')()
  assert np.allclose(iwae['iwae'], elbo['elbo'], rtol=1e-6)
  assert np.allclose(iwae['elbo'], elbo['elbo'], rtol=1e-6)
  assert np.allclose(iwae['loss'], -iwae['iwae'], rtol=1e-6)
  assert 'iwae' not in elbo


def test_the_bound_is_above_the_elbo_and_grows_with_its_samples():
  seeds = range(100)
  five = [measured('iwae', 5)(jax.random.key(i)) for i in seeds]
  forty = [measured('iwae', 40)(jax.random.key(i)) for i in seeds]
  # Jensen's inequality holds for every draw; growth with K holds on average.
  assert all((f['iwae'] > f['elbo']).all() for f in five)
  low, some, many = (
    np.array([f[name].mean() for f in found])
    for found, name in ((five, 'elbo'), (five, 'iwae'), (forty, 'iwae'))
  )
  error = (some.std() + many.std()) / np.sqrt(len(seeds))
  assert some.mean() > low.mean() + 0.1 and many.mean() > some.mean() + 3 * error


def test_the_sampled_kl_averages_to_the_analytic():
  drawn = np.array([measured(kl='sampled')(jax.random.key(i))['kl'] for i in range(300)])
  error = drawn.std(0) / np.sqrt(300)
  assert (error > 0).all()
  assert (np.abs(drawn.mean(0) - measured()()['kl']) < 4 * error).all()


def test_beta_weighs_the_kl_within_the_bound():
  """The loss of IWAE at beta is the bound of weights whose log p(z) - log q(z) is scaled."""
  found = measured('iwae')(beta=3.0)
  assert np.allclose(found['loss'], found['recon'] + 3 * found['kl'], rtol=1e-6)
  assert np.allclose(found['iwae'], -(found['recon'] + found['kl']), rtol=1e-6)


def test_capacity_and_free_bits_change_the_loss_and_no_other_metric():
  q = posterior()
  each = np.asarray(kl(q, standard((N, L))).mean(0), np.float64)
  plain = measured()()
  for hyper, penalty in (
    ({'capacity': 20.0}, abs(each.sum() - 20)),
    ({'capacity': 0.01}, each.sum() - 0.01),
    ({'free_bits': 1.0}, np.maximum(each, 1).sum()),
    ({'free_bits': 2.0, 'capacity': 1.0}, np.maximum(each, 2).sum() - 1),
  ):
    found = measured()(**hyper, beta=3.0)
    assert np.isclose(found['loss'].mean(), plain['recon'].mean() + 3 * penalty, rtol=1e-5)
    for name in ('recon', 'kl', 'elbo'):
      assert np.array_equal(found[name], plain[name])
  assert (each < 2).any() and each.sum() < 20


def losses(objective, v, key=KEY, **hyper):
  method = vae.make(config(objective), example())
  hyper = {k: jnp.asarray(value) for k, value in (HYPER | hyper).items()}
  return jax.jit(method.players[0].loss)(v, data(), key, hyper)


@pytest.mark.parametrize(
  'objective, hyper',
  [
    ({}, {'beta': 2.0, 'capacity': 1.0, 'free_bits': 0.5}),
    ({'name': 'iwae', 'samples': 3}, {'beta': 2.0}),
  ],
)
def test_the_loss_has_the_gradient_of_finite_differences(objective, hyper):
  flat, tree = ravel_pytree(variables().params)
  value = lambda x: losses(objective, variables().replace(params=tree(x)), **hyper)[0]
  # Along random directions, by the stencil of order h^4: float32 gives 1e-6 of the loss over h.
  h, directions = 0.02, np.random.default_rng(0).normal(size=(12, flat.size))
  directions = jnp.asarray(directions / np.linalg.norm(directions, axis=1, keepdims=True))
  along = jax.jit(jax.vmap(value))
  at = {k: np.asarray(along(flat + k * h * directions), np.float64) for k in (-2, -1, 1, 2)}
  want = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * h)
  got = directions @ jax.jit(jax.grad(value))(flat)
  assert np.abs(want).max() > 1
  assert np.allclose(got, want, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('objective', [{}, {'name': 'iwae', 'samples': 2}])
def test_the_loss_is_the_mean_of_the_metrics(objective):
  loss, (metrics, extra) = losses(objective, variables(), beta=2.0)
  found = measured(**objective)(beta=2.0)
  assert np.isclose(loss, found.pop('loss').mean(), rtol=1e-5) and extra == {}
  assert metrics.keys() == found.keys()
  for name, value in metrics.items():
    assert value.shape == () and np.isclose(value, found[name].mean(), rtol=1e-5)


def test_the_loss_moves_extra_and_the_metrics_do_not():
  method = vae.make(config(likelihood='sigma_vae'), example())
  v = initial(method)
  hyper = {k: jnp.asarray(value) for k, value in HYPER.items()}
  _, (metrics, extra) = jax.jit(method.players[0].loss)(v, data(), KEY, hyper)
  # At the optimal scale the squared error is D/2: the loss is D/2 (log 2 pi variance + 1).
  variance = (extra['decoder']['batch_stats']['head']['variance'] - 0.95) / 0.05
  assert np.isclose(metrics['recon'], 10 * (np.log(2 * np.pi * variance) + 1), rtol=1e-4)
  still = jax.jit(method.metrics)(v, data(), KEY, hyper)['recon']
  assert np.isclose(still.mean(), 10 * (np.log(2 * np.pi) + variance), rtol=1e-5)


def test_the_player_owns_both_nets():
  (player,) = vae.make(config(), example()).players
  assert (player.name, player.lr, player.turns) == ('vae', 'lr', 1)
  assert set(player.owns) == set(variables().params) == {'encoder', 'decoder'}


@pytest.mark.parametrize('likelihood', ['gaussian', 'logistic'])
def test_samples_are_in_the_range_of_the_data_and_of_the_unit_at_the_border(likelihood):
  found = example(low=-1.0, levels=256)
  method = vae.make(config(likelihood=likelihood), found)
  v = jax.tree.map(lambda x: 20 * x, initial(method))
  for draw in (False, True):
    sample = jax.jit(partial(method.sample, n=6, temperature=3.0, draw=draw))
    image = sample(v, KEY)['image']
    assert image.shape == (6, *SHAPE) and image.dtype == jnp.float32
    assert image.min() <= -1 and image.max() >= 1 and abs(image.mean()) < image.std()
    unit = found.to_unit(image)
    assert unit.min() == 0 and unit.max() == 1 and 0.2 < unit.mean() < 0.8


def test_temperature_and_draws():
  method = vae.make(config(), example())
  sample = lambda key=KEY, **kwargs: np.asarray(
    method.sample(variables(), key, 5, {}, **kwargs)['image']
  )
  mean = sample()
  assert np.array_equal(mean, sample()) and not np.array_equal(mean, sample(jax.random.key(8)))
  assert not np.array_equal(mean[0], mean[1])
  cold = sample(temperature=0.0)
  assert np.array_equal(cold, np.broadcast_to(cold[:1], cold.shape))
  drawn = sample(draw=True)
  assert set(np.unique(drawn)) == {0, 1} and not set(np.unique(mean)) <= {0, 1}
  frozen = sample(temperature=0.0, draw=True)
  assert not np.array_equal(frozen, np.broadcast_to(frozen[:1], frozen.shape))


def test_what_is_decoded_is_in_the_range_of_the_data():
  found = example(low=-1.0, levels=256)
  method = vae.make(config(likelihood='gaussian'), found)
  v = initial(method)
  p, _ = lens.apply(
    autoencoder.make(config(likelihood='gaussian').model, found), 'decoder', v, KEY_Z
  )
  assert np.array_equal(method.predict['decode'](v, {'latents': KEY_Z}, KEY)['image'], p.mean)


KEY_Z = 0.1 * jax.random.normal(jax.random.key(3), (N, L))


def test_predictions():
  method = vae.make(config(), example())
  predict = lambda name, batch, key=KEY: method.predict[name](variables(), batch, key)
  code = predict('encode', data())
  assert {k: v.shape for k, v in code.items()} == dict.fromkeys(
    ('latents', 'mean', 'scale'), (N, L)
  )
  assert (code['scale'] > 0).all()
  noise = (code['latents'] - code['mean']) / code['scale']
  assert np.allclose(noise, jax.random.normal(KEY, (N, L)), rtol=1e-3, atol=1e-4)
  image = predict('decode', {'latents': code['mean']})['image']
  assert image.shape == (N, *SHAPE) and 0 <= image.min() < image.max() <= 1
  assert np.array_equal(predict('reconstruct', data())['image'], image)
  assert np.array_equal(predict('reconstruct', data(), jax.random.key(9))['image'], image)
  weight = predict('log_weight', data())['log_weight']
  assert weight.shape == (N,)
  # One draw of log p(x, z) - log q(z|x) is the sampled ELBO of the same key.
  assert np.allclose(weight, measured(kl='sampled')()['elbo'], rtol=1e-5)
  assert set(method.predict) == {'encode', 'decode', 'reconstruct', 'log_weight'}


@pytest.mark.parametrize(
  'likelihood, levels, discrete',
  [
    ('bernoulli', 2, True),
    ('bernoulli', 256, False),
    ('logistic', 256, True),
    ('categorical', 256, True),
    ('gaussian', 256, False),
    ('sigma_vae', 256, False),
  ],
)
def test_bits_mean_something_where_the_likelihood_is_discrete(likelihood, levels, discrete):
  assert vae.make(config(likelihood=likelihood), example(levels=levels)).dims == 20 * discrete


@pytest.mark.parametrize(
  'objective, message',
  [
    ({'name': 'vae'}, "objective.name='vae' is unknown. Choose one of elbo, iwae"),
    ({'kl': 'exact'}, "objective.kl='exact' is unknown. Choose one of analytic, sampled"),
  ],
)
def test_unknown_objectives_are_refused(objective, message):
  with pytest.raises(UserError, match=message):
    vae.make(config(objective), example())


def test_an_objective_takes_only_what_it_uses():
  found = config({'name': 'iwae'})
  found.hyper.capacity = 1.0
  with pytest.raises(UserError, match=r'hyper\.capacity has no effect with objective\.name=iwae'):
    vae.make(found, example())
  found = config()
  del found.hyper.capacity
  del found.hyper.free_bits
  v = variables()
  loss = vae.make(found, example()).players[0].loss
  full = vae.make(config(), example()).players[0].loss
  less = {name: HYPER[name] for name in ('lr', 'beta')}
  assert loss(v, data(), KEY, less)[0] == full(v, data(), KEY, HYPER)[0]
