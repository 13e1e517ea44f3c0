"""Anomaly scores of a linear Gaussian model, whose marginal and posterior are known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from scipy import stats

from vaejax import scores
from vaejax.config import presets
from vaejax.methods.vae import vae
from vaejax.nets import autoencoder
from vaejax.nets.priors import standard
from vaejax.types import Example, Method, Variables

# p(z) = N(0, I), p(x|z) = N(zW + b, s²I). The rows of W are orthogonal, so the posterior is
# diagonal, and the encoder has it exactly.
SHAPE, S = (2, 3, 1), 0.6
W = np.asarray([[0.5, -0.3, 0, 0.2, 0, 0], [0, 0, 0.7, 0, -0.4, 0.1]])
RANDOM = np.random.default_rng(0)
B = RANDOM.normal(size=6)
X = RANDOM.normal(size=(20, 2)) @ W + B + S * RANDOM.normal(size=(20, 6))
NLL = -stats.multivariate_normal.logpdf(X, B, W.T @ W + S**2 * np.eye(6))
VARIANCE = 1 / (1 + np.sum(W**2, axis=1) / S**2)
MEAN = (X - B) @ W.T / S**2 * VARIANCE


@pytest.fixture(scope='module')
def model():
  fields = {'net': 'mlp', 'widths': (), 'latents': 2, 'likelihood': 'gaussian', 'scale': S}
  example = Example({'image': jax.ShapeDtypeStruct(SHAPE, jnp.float32)})
  nets = autoencoder.make(ConfigDict(presets.AUTOENCODER | fields), example)
  method = vae(nets, standard.make(None, (2,), example), 2, example)
  to_mean = W.T / S**2 * VARIANCE
  kernel = np.concatenate([to_mean, np.zeros((6, 2))], 1)
  values = {'encoder': [np.r_[-B @ to_mean, np.log(VARIANCE)], kernel], 'decoder': [B, W]}
  blank = {'image': jnp.zeros((1, *SHAPE))}
  shapes = method.init(jax.random.key(0), blank).params
  fill = lambda net: jax.tree.unflatten(
    jax.tree.structure(shapes[net]), [jnp.asarray(x, jnp.float32) for x in values[net]]
  )
  params = {net: fill(net) for net in shapes}
  assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, shapes)
  return method, Variables(params, {})


def batch(x):
  return {'image': jnp.asarray(x.reshape(-1, *SHAPE), jnp.float32)}


def test_they_are_those_of_the_closed_form(model):
  method, v = model
  found = jax.jit(scores.make(method, 4000, 3))(v, batch(X))
  assert set(found) == set(scores.names(method)) == set(scores.NAMES)
  # log p(x, z) - log q(z|x) is log p(x) at every z, if q is the posterior.
  np.testing.assert_allclose(found['neg_log_prob'], NLL, rtol=1e-5)
  np.testing.assert_allclose(found['neg_elbo'], NLL, atol=0.15)  # 4000 draws, KL in closed form
  kl = 0.5 * np.sum(MEAN**2 + VARIANCE - 1 - np.log(VARIANCE), axis=1)
  np.testing.assert_allclose(found['kl'], kl, rtol=1e-4)
  np.testing.assert_allclose(found['recon'] + found['kl'], found['neg_elbo'], rtol=1e-6)
  error = np.sum((X - B - MEAN @ W) ** 2, axis=1)
  np.testing.assert_allclose(found['squared_error'], error, rtol=1e-4)
  x = X.reshape(-1, *SHAPE[:2])
  variation = sum(np.abs(np.diff(x, axis=axis)).sum((1, 2)) for axis in (1, 2))
  assert variation.min() > 1
  np.testing.assert_allclose(found['error_per_variation'], error / variation, rtol=1e-4)
  spread = np.sum(W**2, axis=1) @ VARIANCE
  recon = (error + spread) / (2 * S**2) + 3 * np.log(2 * np.pi * S**2)
  np.testing.assert_allclose(found['recon'], recon, atol=0.15)


def test_a_row_has_its_score_in_any_company(model):
  method, v = model
  score = jax.jit(scores.make(method, 3, 5))
  want, order = score(v, batch(X)), RANDOM.permutation(20)
  for name, x in score(v, batch(X[order])).items():
    np.testing.assert_array_equal(x, want[name][order], err_msg=name)
  for name, x in score(v, batch(X[:3])).items():  # another program rounds otherwise
    np.testing.assert_allclose(x, want[name][:3], rtol=1e-5, err_msg=name)
  nll = jax.jit(scores.make_nll(method, 5))(v, batch(X))
  np.testing.assert_allclose(nll, want['neg_log_prob'], rtol=1e-5)


def test_a_method_without_a_likelihood_has_none():
  method = Method(None, (), None, None, {'criticise': None})
  assert scores.names(method) == ()
  assert scores.names(method._replace(predict={'reconstruct': None})) == (
    'squared_error',
    'error_per_variation',
  )


def test_an_image_without_variation_has_a_finite_score():
  score = scores.make(
    Method(
      None, (), None, None, {'reconstruct': lambda v, row, key: {'image': row['image'] + 0.5}}
    ),
    1,
    1,
  )
  found = score(None, {'image': jnp.zeros((2, *SHAPE))})
  np.testing.assert_allclose(found['error_per_variation'], [6 * 0.25] * 2)
  colours = jnp.arange(2 * 3 * 4 * 3.0).reshape(2, 3, 4, 3)
  # Neighbours differ by 12 from row to row, by 3 from column to column.
  assert scores.total_variation(colours) == 2 * (2 * 4 * 3 * 12 + 3 * 3 * 3 * 3)
