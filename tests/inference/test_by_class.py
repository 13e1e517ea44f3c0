"""Bayes' rule against the exact posterior of a model whose classes are Gaussians."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vaejax.distributions import Gaussian
from vaejax.inference import by_class
from vaejax.types import Latent, Method

S, D, CLASSES = 0.5, 3, 3
MEANS = np.random.default_rng(1).normal(size=(CLASSES, D))  # of z in each class
X = np.random.default_rng(2).normal(size=(5, D)).astype(np.float32)


def model(widen: float) -> Latent:
  """p(z|y) = N(mean of y, I), p(x|z) = N(z, S² I); q(z|x, y) is the exact posterior, widened."""
  gaussian = lambda mean, scale: Gaussian(mean, jnp.full(mean.shape, np.log(scale)))
  means = jnp.asarray(MEANS, jnp.float32)
  precise = 1 / (1 + S**-2)

  def posterior(v, batch, train=False):
    mean = precise * (means[batch['label']] + batch['image'] / S**2)
    return gaussian(mean, widen * precise**0.5), v

  prior = lambda v, n, given: (gaussian(means[given['label']], 1.0), v)
  likelihood = lambda v, z, given, target=None, train=False: (gaussian(z, S), v)
  return Latent(prior, posterior, likelihood, 'image', ('label',))


EXACT = np.stack(
  [stats.multivariate_normal.logpdf(X, mean, (1 + S**2) * np.eye(D)) for mean in MEANS], 1
)


def bounds(widen, draws, bound):
  arguments = jnp.asarray(X), CLASSES, jax.random.key(0), draws, 8, bound
  return np.asarray(by_class.log_likelihoods(model(widen), None, *arguments))


def test_with_the_exact_posterior_one_draw_gives_the_exact_likelihood():
  np.testing.assert_allclose(bounds(1.0, 1, 'importance'), EXACT, atol=1e-4)


def test_the_bounds_come_nearer_in_their_order():
  elbo, many = bounds(1.6, 2000, 'variational'), bounds(1.6, 2000, 'importance')
  # E_q log p(x, z) - log q is below by KL(q || posterior), D (w² - 1 - log w²) / 2.
  kl = D * (1.6**2 - 1 - np.log(1.6**2)) / 2
  np.testing.assert_allclose(elbo, EXACT - kl, atol=0.2)
  np.testing.assert_allclose(many, EXACT, atol=0.1)
  keys = jax.random.split(jax.random.key(1), 200)
  few = jax.vmap(lambda key: by_class.log_likelihoods(model(1.6), None, X, CLASSES, key, 3, 3))
  few = float(few(keys).mean())
  assert elbo.mean() + 0.3 < few < EXACT.mean() - 0.1


def test_classes_share_their_noise():
  # All classes have one mean, so they differ only by noise if it is not the same.
  same = model(1.6)._replace(prior=lambda v, n, given: model(1.6).prior(v, n, zero(given)))
  zero = lambda batch: {**batch, 'label': jnp.zeros_like(batch['label'])}
  same = same._replace(posterior=lambda v, b, train=False: model(1.6).posterior(v, zero(b)))
  found = by_class.log_likelihoods(same, None, jnp.asarray(X), 3, jax.random.key(0), 2, 2)
  np.testing.assert_allclose(found, np.repeat(found[:, :1], 3, 1), atol=1e-5)


def test_the_posterior_is_bayes_rule():
  prior = np.array([0.5, 0.5, 0.0])
  joint = np.exp(EXACT) * prior
  found = by_class.posterior(jnp.asarray(EXACT), jnp.asarray(prior))
  np.testing.assert_allclose(found, joint / joint.sum(1, keepdims=True), atol=1e-6)
  assert not found[:, 2].any()


@pytest.mark.parametrize(
  ('conditions', 'applies'), [(('label',), True), ((), False), (('label', 'source'), False)]
)
def test_it_is_for_models_of_the_label_alone(conditions, applies):
  latent = model(1.0)._replace(conditions=conditions)
  assert by_class.applies(Method(None, (), None, None, {}, latent=latent)) is applies
  assert not by_class.applies(Method(None, (), None, None, {}))
