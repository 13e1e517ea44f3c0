"""A hierarchy of latents against the linear one, whose marginal is known."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy import stats

from vaejax.config.base import base
from vaejax.config.load import load_config
from vaejax.distributions import per_example
from vaejax.errors import UserError
from vaejax.latent import log_likelihood
from vaejax.methods import hierarchy
from vaejax.types import Example, Variables

# z_2 ~ N(0, I), z_1 ~ N(z_2 A + a, t²I), x ~ N(z_1 W + b, s²I): x has 2x3 pixels.
SHAPE, LEVELS, S, T = (2, 3, 1), (3, 2), 0.6, 0.7
RANDOM = np.random.default_rng(0)
A, SHIFT = RANDOM.normal(0, 0.8, (2, 3)), RANDOM.normal(0, 1, 3)
W, B = RANDOM.normal(0, 0.5, (3, 6)), RANDOM.normal(0, 1, 6)
OF_Z1 = A.T @ A + T**2 * np.eye(3)
MARGINAL = stats.multivariate_normal(SHIFT @ W + B, W.T @ OF_Z1 @ W + S**2 * np.eye(6))
X = MARGINAL.rvs(16, random_state=1)
KEY = jax.random.key(3)


def head(kernel, bias, variance):
  """The parameters of a net that gives N(z kernel + bias, variance I)."""
  zeros = np.zeros_like(kernel)
  bias = np.concatenate([bias, np.full(len(bias), np.log(variance))])
  return {'head': {'Dense_0': {'kernel': np.concatenate([kernel, zeros], 1), 'bias': bias}}}


def example(levels=256):
  return Example({'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)}, levels=levels)


@cache
def linear():
  """The method of linear nets with a wide posterior around the exact means, and its variables."""
  config = base('hierarchy', {'lr': 1e-3, 'beta': 1.0})
  config.objective = {'name': 'iwae', 'samples': 5, 'kl': 'sampled'}
  fields = {'net': 'mlp', 'widths': (), 'inner_widths': (), 'levels': LEVELS, 'activation': 'tanh'}
  fields |= {'norm': 'none', 'dtype': 'float32', 'likelihood': 'gaussian', 'scale': S}
  config.model = ConfigDict(fields | {'floor': 0.1})
  method = hierarchy.make(config, example())
  to_z1 = np.linalg.solve(W.T @ OF_Z1 @ W + S**2 * np.eye(6), W.T @ OF_Z1)
  to_z2 = np.linalg.solve(OF_Z1, A.T)
  params = {
    'encoder': head(to_z1, SHIFT - (SHIFT @ W + B) @ to_z1, 0.5),
    'inference_1': head(to_z2, -SHIFT @ to_z2, 0.6),
    'generation_1': head(A, SHIFT, T**2),
    'decoder': {'trunk': {'Dense_0': {'kernel': W, 'bias': B}}},
  }
  params = jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), params)
  want = jax.eval_shape(method.init, KEY, {'image': jnp.zeros((1, *SHAPE))}).params
  assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, want)
  return method, Variables(params, {}), {'image': jnp.asarray(X, jnp.float32).reshape(-1, *SHAPE)}


def test_importance_sampling_gives_the_exact_marginal():
  method, v, batch = linear()
  weight = lambda key: method.predict['log_weight'](v, batch, key)['log_weight']
  got = jax.jit(lambda: log_likelihood(weight, 20_000, 500, KEY))()
  np.testing.assert_allclose(got.log_likelihood, MARGINAL.logpdf(X), atol=0.03)


def test_samples_have_the_moments_of_the_model():
  method, v, _ = linear()
  x = np.asarray(method.sample(v, KEY, 20_000, draw=True)['image']).reshape(-1, 6)
  assert np.abs(x.mean(0) - MARGINAL.mean).max() < 0.05
  assert np.abs(np.cov(x.T) - MARGINAL.cov).max() < 0.08


def test_the_prior_has_its_levels_in_the_order_of_the_posterior():
  method, v, batch = linear()
  q, p = method.latent.posterior(v, batch)[0], method.latent.prior(v, 16, {})[0]
  z = q.sample(KEY)
  assert [a.shape for a in z] == [(16, 3), (16, 2)] == [a.shape for a in p.sample(KEY)]
  want = stats.norm.logpdf(z[0], z[1] @ A + SHIFT, T).sum(1) + stats.norm.logpdf(z[1]).sum(1)
  np.testing.assert_allclose(per_example(p.log_prob(z)), want, rtol=2e-4)
  np.testing.assert_allclose(p.mean[0], np.tile(SHIFT, (16, 1)), rtol=1e-5)
  for i, factor in enumerate(p.factors(z)):
    np.testing.assert_allclose(factor.log_prob(z[i]), p.log_prob(z)[i])


def test_the_bound_is_below_the_marginal_and_rises_with_the_samples():
  method, v, batch = linear()
  draws = jax.vmap(lambda key: method.metrics(v, batch, key, {'beta': 1.0}))
  values = draws(jax.random.split(KEY, 400))
  elbo, iwae = (float(values[name].mean()) for name in ('elbo', 'iwae'))
  assert elbo + 0.1 < iwae < MARGINAL.logpdf(X).mean()


def test_reconstructing_is_decoding_the_means():
  method, v, batch = linear()
  code = method.predict['encode'](v, batch, KEY)
  x = method.predict['decode'](v, {'latents': code['mean']}, KEY)['image']
  np.testing.assert_array_equal(method.predict['reconstruct'](v, batch, KEY)['image'], x)
  np.testing.assert_allclose(x.reshape(-1, 6), code['mean'][0] @ W + B, rtol=1e-4, atol=1e-4)


def test_the_paper_s_nets():
  config = load_config('configs/iwae.py:mnist,paper,two')
  shape = jax.ShapeDtypeStruct((28, 28, 1), jnp.float32)
  method = hierarchy.make(config, Example({'image': shape}, levels=2))
  assert method.centred
  params = jax.eval_shape(method.init, KEY, {'image': jnp.zeros((1, 28, 28, 1))}).params
  kernels = {
    name: [leaf.shape for leaf in jax.tree.leaves(tree) if len(leaf.shape) == 2]
    for name, tree in params.items()
  }
  assert {name: sorted(shapes) for name, shapes in kernels.items()} == {
    'encoder': [(200, 200), (200, 200), (784, 200)],
    'inference_1': [(100, 100), (100, 100), (100, 100)],
    'generation_1': [(50, 100), (100, 100), (100, 200)],
    'decoder': [(100, 200), (200, 200), (200, 784)],
  }


@pytest.mark.parametrize(
  'field, value, message', [('levels', (), 'model.levels'), ('kl', 'analytic', 'Set it to sampled')]
)
def test_what_does_not_fit_is_refused(field, value, message):
  config = load_config('configs/iwae.py:digits,two,smoke')
  with config.unlocked():
    (config.objective if field == 'kl' else config.model)[field] = value
  with pytest.raises(UserError, match=message):
    hierarchy.make(config, example(2))
