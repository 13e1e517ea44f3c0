"""The recurrent VAE: its bound against a sum by hand, and how it goes on with videos."""

from functools import cache, partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vaejax import latent
from vaejax.config.load import load_config
from vaejax.core import factory
from vaejax.core.step import turn
from vaejax.errors import UserError
from vaejax.methods import rvae
from vaejax.nets import lens, recurrent
from vaejax.types import Example, State

pytestmark = pytest.mark.slow  # scans take long to compile

B, T, SHAPE = 3, 4, (8, 8, 1)
KEY = jax.random.key(5)
SETTINGS = {'model.net': 'mlp', 'model.widths': '8', 'model.state': '6', 'model.latents': '3'}
HYPER = {'lr': 1e-3, 'beta': 1.0, 'free_bits': 0.0}


def example(low=0.0, levels=256):
  fields = {'video': jax.ShapeDtypeStruct((T, *SHAPE), jnp.float32)}
  return Example(fields, None, low, 1.0, levels, 'video')


def config(**settings):
  path = Path(__file__).parents[2] / 'configs' / 'rvae.py'
  settings = SETTINGS | {name.replace('__', '.'): str(x) for name, x in settings.items()}
  return load_config(str(path), settings.items())


@cache
def batch():
  return {'video': jax.random.uniform(jax.random.key(1), (B, T, *SHAPE))}


def variables(method):
  """Wide, so that no term is near zero and the state matters."""
  v = jax.jit(method.init)(jax.random.key(0), batch())
  return jax.tree.map(lambda x: 1.5 * x + 0.05, v)


@cache
def built(cell='gru', likelihood='bernoulli', decoder_input='features'):
  settings = config(
    model__cell=cell, model__likelihood=likelihood, model__decoder_input=decoder_input
  )
  method = rvae.make(settings, example())
  return method, recurrent.make(settings.model, example()), variables(method)


def given_to_decoder(nets, v, z, h):
  """Features of z, or z itself, and h."""
  code = nets['core'].bind({'params': v.params['core']}).code_trunk
  return jnp.concatenate([code(z) if nets['core'].codes else z, h], axis=-1)


def by_hand(nets, v, x, noise):
  """recon and KL of every frame, [B, T] each, frame after frame; analytic."""
  apply = lambda name, *args, **settings: lens.apply(nets, name, v, *args, **settings)[0]
  core, recons, kls = nets['core'], [], []
  carry = core.start(x.shape[0])
  for t in range(x.shape[1]):
    seen = apply('encoder', x[:, t])
    q, p = apply('core', carry, seen, method='posterior'), apply('core', carry, method='prior')
    z = q.mean + jnp.exp(q.log_scale) * noise[:, t]
    found = apply('decoder', given_to_decoder(nets, v, z, core.state(carry)))
    recons.append(-found.log_prob(x[:, t]).sum((1, 2, 3)))
    c, d = jnp.exp(2 * q.log_scale), jnp.exp(2 * p.log_scale)
    kls.append(0.5 * (c / d + (q.mean - p.mean) ** 2 / d - 1 - jnp.log(c / d)).sum(-1))
    carry = apply('core', carry, seen, z, method='advance')
  return jnp.stack(recons, 1), jnp.stack(kls, 1)


@pytest.mark.parametrize('decoder_input', ['features', 'latents'])
@pytest.mark.parametrize('cell', recurrent.CELLS)
def test_the_bound_is_the_sum_over_frames(cell, decoder_input):
  method, nets, v = built(cell, decoder_input=decoder_input)
  width = 12 if decoder_input == 'features' else 9
  assert v.params['decoder']['trunk']['Mlp_0']['Dense_0']['kernel'].shape == (width, 8)
  noise = jax.random.normal(KEY, (B, T, 3))
  recon, kl = jax.jit(partial(by_hand, nets))(v, batch()['video'], noise)
  found = jax.jit(method.metrics)(v, batch(), KEY, HYPER | {'beta': 2.0})
  np.testing.assert_allclose(found['recon'], recon.sum(1), rtol=1e-5)
  np.testing.assert_allclose(found['kl'], kl.sum(1), rtol=1e-4)
  np.testing.assert_allclose(found['elbo'], -(recon + kl).sum(1), rtol=1e-5)
  np.testing.assert_allclose(found['elbo_per_frame'], -(recon + kl).mean(1), rtol=1e-5)
  np.testing.assert_allclose(found['loss'], (recon + 2 * kl).sum(1), rtol=1e-5)
  loss, (means, _) = jax.jit(method.players[0].loss)(v, batch(), KEY, HYPER)
  np.testing.assert_allclose(loss, -np.mean(found['elbo']), rtol=1e-5)
  np.testing.assert_allclose(means['kl'], found['kl'].mean(), rtol=1e-5)


def test_a_config_from_before_the_field_gives_the_decoder_z():
  old = config()
  with old.unlocked():
    del old.model.decoder_input
  method = rvae.make(old, example())
  v = jax.eval_shape(method.init, KEY, batch())
  want = built(decoder_input='latents')[2]
  assert jax.tree.map(jnp.shape, v.params) == jax.tree.map(jnp.shape, want.params)


def test_the_sampled_kl_is_the_analytic_one_on_average():
  settings = config(objective__kl='sampled')
  method, _, v = built()
  sampled = rvae.make(settings, example())
  keys = jax.random.split(KEY, 1500)
  draws = jax.jit(jax.vmap(lambda k: sampled.metrics(v, batch(), k, HYPER)['elbo']))(keys)
  exact = jax.jit(jax.vmap(lambda k: method.metrics(v, batch(), k, HYPER)['elbo']))(keys)
  error = (draws - exact).std(0) / len(keys) ** 0.5
  assert (np.abs((draws - exact).mean(0)) < 5 * error).all() and (error > 0).all()
  weights = method.predict['log_weight'](v, batch(), keys[0])['log_weight']
  np.testing.assert_allclose(weights, draws[0], rtol=1e-4)


def test_free_bits_are_those_of_each_latent_of_each_frame():
  method, _, v = built()

  @jax.jit
  def metrics(free_bits):
    hyper = HYPER | {'free_bits': free_bits}
    return method.pooled(method.metrics(v, batch(), KEY, hyper), hyper)

  plain, enough, some = map(metrics, (0.0, 100.0, 0.5))
  # Far above every KL: each of 3 latents in T frames is charged in full.
  want = plain['recon'].mean() + 100 * 3 * T
  np.testing.assert_allclose(enough['loss'].mean(), want, rtol=1e-5)
  np.testing.assert_allclose(enough['elbo'], plain['elbo'], rtol=1e-6)
  each = jnp.maximum(kls(v).mean(0), 0.5).sum()
  np.testing.assert_allclose(some['loss'].mean(), plain['recon'].mean() + each, rtol=1e-5)


def test_microbatches_have_the_gradient_of_the_whole_batch(monkeypatch):
  # Without noise, which is other for a microbatch than for the same rows of the batch.
  monkeypatch.setattr(jax.random, 'normal', lambda key, shape: jnp.zeros(shape))
  method, _, v = built(likelihood='sigma_vae')
  player = method.players[0]._replace(tx=optax.sgd(1.0))
  video = jax.random.uniform(jax.random.key(1), (4, T, *SHAPE)) * jnp.linspace(0, 3, 4).reshape(
    4, 1, 1, 1, 1
  )
  hyper = {'lr': 1.0, 'beta': 1.0, 'free_bits': float(jnp.median(kls(v).mean(0)))}

  @partial(jax.jit, static_argnums=(0, 1))
  def update(player, microbatches):
    state = State(jnp.int32(0), KEY, v, {'rvae': player.tx.init(v.params)}, None, hyper)
    after, metrics = turn(player, state, {'video': video}, KEY, hyper, microbatches)
    return jax.tree.map(jnp.subtract, after.variables.params, v.params), metrics

  whole, parts, alone = (
    update(p, k) for p, k in ((player, 1), (player, 2), (player._replace(means=None), 2))
  )
  largest = lambda tree: max(float(jnp.abs(x).max()) for x in jax.tree.leaves(tree))
  gap = lambda a, b: largest(jax.tree.map(jnp.subtract, a, b))
  size = largest(whole[0])
  assert gap(parts[0], whole[0]) < 1e-4 * size < 1e-2 * size < gap(alone[0], whole[0])
  np.testing.assert_allclose(parts[1]['loss'], whole[1]['loss'], rtol=1e-5)


@jax.jit
def kls(v):
  """KL of each latent of each frame, [B, T, 3], in closed form."""
  _, nets, _ = built()
  x, noise = batch()['video'], jax.random.normal(KEY, (B, T, 3))
  seen = lens.apply(nets, 'encoder', v, x.reshape(-1, *SHAPE))[0].reshape(B, T, -1)
  (_, (q, p, _, _)), _ = lens.apply(nets, 'core', v, seen, noise)
  c, d = jnp.exp(2 * q.log_scale), jnp.exp(2 * p.log_scale)
  return 0.5 * (c / d + (q.mean - p.mean) ** 2 / d - 1 - jnp.log(c / d))


def go_on(nets, v, first, noise):
  """The continuation of `first` [B, k, ...] by hand: a loop that shows the means."""
  apply = lambda name, *args, **settings: lens.apply(nets, name, v, *args, **settings)[0]
  core, shown = nets['core'], []
  carry = core.start(first.shape[0])
  for t in range(T):
    if t < first.shape[1]:
      seen = apply('encoder', first[:, t])
      q = apply('core', carry, seen, method='posterior')
      shown.append(first[:, t])
      z = recurrent.reparameterise(q, noise[:, t])
    else:
      z = recurrent.reparameterise(apply('core', carry, method='prior'), noise[:, t])
      code = given_to_decoder(nets, v, z, core.state(carry))
      shown.append(apply('decoder', code).mean)
      seen = apply('encoder', shown[-1])
    carry = apply('core', carry, seen, z, method='advance')
  return jnp.stack(shown, 1)


@pytest.mark.parametrize('k', [0, 1, 3])
@pytest.mark.parametrize('cell', ['gru', 'lstm'])
def test_it_goes_on_as_a_loop_by_hand(cell, k):
  method, nets, v = built(cell)
  first = batch()['video'][:, :k]
  noise = 0.7 * jax.random.normal(jax.random.split(KEY)[0], (B, T, 3))
  found = method.sample(v, KEY, B, {'video': first} if k else {}, temperature=0.7)['video']
  want = go_on(nets, v, first, noise)
  np.testing.assert_allclose(found, want, atol=1e-5)
  np.testing.assert_array_equal(found[:, :k], first)


def test_the_rollout_draws_nothing_and_futures_differ():
  method, _, v = built()
  given = {'video': batch()['video'][:, :2]}
  sample = jax.jit(lambda key, t: method.sample(v, key, B, given, temperature=t)['video'])
  keys = jax.random.split(KEY, 3)
  cold, warm = ([np.asarray(sample(key, t)) for key in keys] for t in (0.0, 1.0))
  np.testing.assert_array_equal(cold[0], cold[1])
  np.testing.assert_array_equal(cold[0], cold[2])
  for one, other in ((0, 1), (1, 2)):
    np.testing.assert_array_equal(warm[one][:, :2], warm[other][:, :2])
    assert (np.abs(warm[one] - warm[other])[:, 2:].max((2, 3, 4)) > 1e-3).all()
  assert np.abs(cold[0][0] - cold[0][1]).max() > 1e-3  # it does depend on what is given


def test_a_draw_is_of_the_likelihood_and_is_what_comes_next():
  method, _, v = built()
  found = method.sample(v, KEY, B, {}, draw=True)['video']
  assert set(np.unique(found)) == {0.0, 1.0}
  noisy = method.sample(v, KEY, B, {})['video']
  assert len(np.unique(noisy)) > 100
  # Each frame has noise of its own.
  assert (found[:, 1] != found[:, 2]).any() and (found[0] != found[1]).any()


def test_latents_are_what_is_new_in_each_frame():
  method, nets, v = built()
  codes = method.predict['encode'](v, batch(), KEY)
  assert codes['latents'].shape == codes['mean'].shape == (B, T, 3)
  # z of the posterior, by the noise of the same key, is that of the prior by the innovations.
  apply = lambda name, *args, **rest: lens.apply(nets, name, v, *args, **rest)[0]
  seen = apply('encoder', batch()['video'].reshape(-1, *SHAPE)).reshape(B, T, -1)
  noise = jax.random.normal(KEY, (B, T, 3))
  _, (_, _, z, h) = apply('core', seen, noise)
  _, (_, _, again, state) = apply('core', seen, codes['latents'], replay=True)
  np.testing.assert_allclose(again, z, atol=1e-4)
  np.testing.assert_allclose(state, h, atol=1e-4)
  # Decoding sees its own frames: the first agrees with the reconstruction, as h is zero there.
  means = method.predict['reconstruct'](v, batch(), KEY)['video']
  found = method.predict['decode'](v, {'latents': codes['mean']}, KEY)['video']
  np.testing.assert_allclose(found[:, 0], means[:, 0], atol=1e-5)
  assert found.shape == means.shape == (B, T, *SHAPE)


def test_the_derived_weight_is_the_one_of_a_single_pass():
  method, _, v = built()
  one = jax.jit(method.predict['log_weight'])(v, batch(), KEY)['log_weight']
  other = jax.jit(partial(latent.log_weight, method.latent))(v, batch(), KEY)
  np.testing.assert_allclose(one, other, rtol=1e-4)


def test_the_densities_of_a_path_leave_jit_and_fit_its_draws():
  method, _, v = built(likelihood='gaussian')
  q = jax.jit(lambda x: method.latent.posterior(v, {'video': x})[0])(batch()['video'])
  z, log_q = q.sample_and_log_prob(KEY)
  np.testing.assert_allclose(q.log_prob(z), log_q, rtol=1e-5)
  # A change of one frame's innovation changes the density of that frame, and of later ones alone.
  moved = q.log_prob(z.at[:, 2].add(0.5))
  np.testing.assert_allclose(moved[:, :2], log_q[:, :2], rtol=1e-5)
  assert np.abs(moved[:, 2] - log_q[:, 2]).max() > 1e-3
  p, _ = method.latent.likelihood(v, z, {})
  x = p.sample(KEY)
  assert x.shape == batch()['video'].shape
  nearer = p.log_prob(p.mean).sum() - p.log_prob(p.mean + 2.0).sum()
  assert nearer > 0


def test_given_frames_come_back_and_the_rest_is_in_the_range_of_the_data():
  settings = config(model__likelihood='gaussian')
  method = rvae.make(settings, example(low=-1.0))
  v, x = variables(method), 2 * batch()['video'] - 1
  found = method.sample(v, KEY, B, {'video': x[:, :2]})['video']
  np.testing.assert_array_equal(found[:, :2], x[:, :2])
  assert found.min() >= -1 and found.max() <= 1 and found[:, 2:].min() < 0


def test_dims_count_the_values_of_a_sequence_where_they_are_discrete():
  for likelihood, levels, dims in (
    ('bernoulli', 2, T * 64),
    ('bernoulli', 256, 0),
    ('logistic', 256, T * 64),
    ('gaussian', 256, 0),
  ):
    settings = config(model__likelihood=likelihood)
    assert rvae.make(settings, example(levels=levels)).dims == dims


def test_mistakes(project):
  with pytest.raises(UserError, match=r"objective\.kl='exact'.*analytic, sampled"):
    rvae.make(config(objective__kl='exact'), example())
  method, _, v = built()
  with pytest.raises(UserError, match='5 given frames are more than the 4 frames of a video'):
    method.sample(v, KEY, B, {'video': jnp.zeros((B, 5, *SHAPE))})
  still = Example({'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)})
  with pytest.raises(UserError, match=r'the method rvae models videos, but moving has images'):
    factory.make_method(config(), still)
  with pytest.raises(UserError, match=r'the method vae models images, but digits has videos'):
    factory.make_method(load_config('configs/vae.py'), example())
