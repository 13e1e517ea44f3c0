"""The conditional VAE of an image given a source: its bound where p(x|source) is known, and what
its samples depend on."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from scipy import stats

from vaejax import latent
from vaejax.config.load import load_config
from vaejax.core import factory
from vaejax.data import sources, splits
from vaejax.distributions import Gaussian
from vaejax.errors import UserError
from vaejax.methods.paired import make, paired
from vaejax.types import Example

CONFIGS = Path(__file__).parents[2] / 'configs'
SHAPE, SIGMA, N = (2, 2, 1), 0.7, 8
PRIOR, OF_Z, OF_S = (np.random.default_rng(i).normal(size=4) for i in range(3))
rows = lambda x: x.reshape(len(x), -1)


class LinearPrior(nn.Module):
  """p(z|s) = N(PRIOR s, 1)."""

  @nn.compact
  def __call__(self, s, train=False):
    mean = rows(s) @ PRIOR[:, None] + self.param('shift', nn.initializers.zeros, (1,))
    return Gaussian(mean, jnp.zeros_like(mean))


class LinearDecoder(nn.Module):
  """p(x|z, s) = N(OF_Z z + OF_S s, SIGMA²)."""

  @nn.compact
  def __call__(self, z, s, target=None, train=False):
    mean = z * OF_Z + OF_S * rows(s) + self.param('shift', nn.initializers.zeros, (4,))
    mean = mean.reshape(len(z), *SHAPE)
    return Gaussian(mean, jnp.full_like(mean, np.log(SIGMA)))


class ExactPosterior(nn.Module):
  """p(z|x, s), which is Gaussian, plus an error of the mean."""

  @nn.compact
  def __call__(self, both, train=False):
    x, s = rows(both[..., :1]), rows(both[..., 1:])
    precision = 1 + OF_Z @ OF_Z / SIGMA**2
    evidence = rows(s) @ PRIOR + (x - OF_S * s) @ OF_Z / SIGMA**2
    mean = evidence[:, None] / precision + self.param('error', nn.initializers.zeros, (1,))
    return Gaussian(mean, jnp.full_like(mean, -0.5 * np.log(precision)))


def linear(**settings):
  field = jax.ShapeDtypeStruct(SHAPE, jnp.float32)
  nets = {'encoder': ExactPosterior(), 'prior': LinearPrior(), 'decoder': LinearDecoder()}
  return paired(nets, 1, Example({'image': field, 'source': field}), **settings)


def batch():
  rng = np.random.default_rng(5)
  return {k: rng.normal(size=(N, *SHAPE)).astype(np.float32) for k in ('image', 'source')}


def marginal(batch):
  """log p(x|s) of the linear model."""
  s, covariance = rows(batch['source']), np.outer(OF_Z, OF_Z) + SIGMA**2 * np.eye(4)
  mean = (s @ PRIOR)[:, None] * OF_Z + OF_S * s
  return stats.multivariate_normal(cov=covariance).logpdf(rows(batch['image']) - mean)


HYPER = {'beta': jnp.float32(1.0)}


def test_the_bound_is_tight_at_the_exact_posterior():
  method, x = linear(), batch()
  v = method.init(jax.random.key(0), x)
  # The analytic KL and one draw of the reconstruction differ from log p by the draw alone.
  weights = latent.log_weight(method.latent, v, x, jax.random.key(1))
  np.testing.assert_allclose(weights, marginal(x), rtol=1e-5)
  draw = lambda key: method.metrics(v, x, key, HYPER)['elbo']
  elbo = jax.jit(jax.vmap(draw))(jax.random.split(jax.random.key(2), 4000))
  error = np.std(elbo, axis=0) / 4000**0.5
  assert (np.abs(np.mean(elbo, axis=0) - marginal(x)) < 4.5 * error).all()


def test_a_wrong_posterior_costs_its_divergence():
  method, x = linear(), batch()
  v = method.init(jax.random.key(0), x)
  v = v.replace(params={**v.params, 'encoder': {'error': jnp.float32([0.5])}})
  elbo = jax.vmap(lambda key: method.metrics(v, x, key, HYPER)['elbo'])
  values = jax.jit(elbo)(jax.random.split(jax.random.key(2), 4000))
  # KL of two Gaussians of one scale: half the precision times the squared error.
  gap = 0.5 * 0.25 * (1 + OF_Z @ OF_Z / SIGMA**2)
  error = np.std(values, axis=0) / 4000**0.5
  assert (np.abs(np.mean(values, axis=0) - marginal(x) + gap) < 4.5 * error).all()


def test_the_share_of_the_prior():
  """With none, the loss is the negative bound. With all, q has no part in it."""
  x, key = batch(), jax.random.key(3)
  for share in (0.0, 0.5, 1.0):
    method = linear(share=share)
    v = method.init(jax.random.key(0), x)
    loss = method.players[0].loss
    (value, (terms, _)), gradient = jax.value_and_grad(loss, has_aux=True)(v, x, key, HYPER)
    moved = float(jnp.abs(gradient.params['encoder']['error'][0]))
    assert (moved > 1e-3) == (share < 1) and (terms['kl'] > 1e-3) == (share < 1)
    np.testing.assert_allclose(value, terms['recon'] + terms['kl'], rtol=1e-6)
    if share == 0:
      bound = method.metrics(v, x, jax.random.split(key)[0], HYPER)
      np.testing.assert_allclose(value, np.mean(bound['loss']), rtol=1e-5)


def test_samples_are_of_the_conditional():
  method, x = linear(), batch()
  v = method.init(jax.random.key(0), x)
  many = {'source': jnp.repeat(x['source'][:1], 20_000, axis=0)}
  drawn = rows(method.sample(v, jax.random.key(4), 20_000, many, draw=True)['image'])
  s = rows(x['source'])[0]
  np.testing.assert_allclose(np.mean(drawn, 0), (s @ PRIOR) * OF_Z + OF_S * s, atol=0.06)
  want = np.outer(OF_Z, OF_Z) + SIGMA**2 * np.eye(4)
  np.testing.assert_allclose(np.cov(drawn.T), want, atol=0.08)


def test_samples_need_a_source():
  method = linear()
  v = method.init(jax.random.key(0), batch())
  with pytest.raises(UserError, match='need the source of each'):
    method.sample(v, jax.random.key(0), 2, {})


@pytest.fixture(scope='module')
def inpainting():
  """(method, variables, 16 rows) of digits whose right halves are missing."""
  config = load_config(f'{CONFIGS}/inpaint.py:smoke')
  table = splits.table(config.data, 'test', None)
  source = sources.test(config.data, table)
  method = factory.make_method(config, source.example)
  state = jax.jit(lambda: factory.initial_state(method, config, source.example))()
  # Codes of this scale show at once.
  params = jax.tree.map(lambda x: 3 * x, state.variables.params)
  (buffer, _), *_ = source.buffers(0, 1)
  return method, state.variables.replace(params=params), source.rows(buffer, jnp.arange(16))


@pytest.mark.parametrize('draw', [False, True])
def test_completions_keep_what_is_seen_and_differ_elsewhere(inpainting, draw):
  method, v, x = inpainting
  sample = jax.jit(
    lambda key: method.sample(v, key, 16, {'source': x['source']}, draw=draw)['image']
  )
  one, two = (np.asarray(sample(jax.random.key(k))) for k in (0, 1))
  seen = np.asarray(x['source'][..., 1:]) == 1
  assert seen.mean() == 0.5
  for made in (one, two):
    np.testing.assert_array_equal(made[seen], np.asarray(x['image'])[seen])
  assert (np.abs(one - two).reshape(16, -1).max(1) > 1e-3).all()
  np.testing.assert_array_equal(one, sample(jax.random.key(0)))


def test_what_is_seen_costs_no_nats(inpainting):
  method, v, x = inpainting
  weight = jax.jit(lambda x: method.predict['log_weight'](v, x, jax.random.key(0))['log_weight'])
  of = lambda x: method.latent.likelihood(v, jnp.zeros((16, 4)), x)[0].log_prob(x['image'])
  likelihood = np.asarray(jax.jit(of)(x))
  seen = np.asarray(x['source'][..., 1:]) == 1
  assert (likelihood[seen] == 0).all() and (likelihood[~seen] < 0).all()
  assert np.isfinite(weight(x)).all()


def test_a_sample_is_a_function_of_its_source(inpainting):
  method, v, x = inpainting
  sample = jax.jit(lambda s: method.sample(v, jax.random.key(0), 16, {'source': s})['image'])
  changed = x['source'].at[3, :, :4, 0].set(1 - x['source'][3, :, :4, 0])
  difference = np.abs(np.asarray(sample(x['source']) - sample(changed))[:, :, 4:])
  assert difference[3].max() > 1e-3 and np.delete(difference, 3, 0).max() < 1e-5


def test_settings_that_do_not_fit_are_one_line():
  config = load_config(f'{CONFIGS}/inpaint.py:smoke')
  example = sources.example(config.data, splits.table(config.data, 'test', None))
  for fields, setting, says in (
    (('image',), {}, 'data.source'),
    (('image', 'source'), {'model.likelihood': 'sigma_vae'}, 'laplace'),
    (('image', 'source'), {'model.stem': 3}, 'does not fit model.stem=3'),
    (('image', 'source'), {'model.prior': 'lerned'}, "did you mean 'learned'"),
  ):
    chosen = config.copy_and_resolve_references()
    chosen.update_from_flattened_dict(setting)
    with pytest.raises(UserError, match=says) as error:
      make(chosen, example._replace(fields={k: example.fields[k] for k in fields}))
    assert '\n' not in str(error.value)
