"""DIP-VAE's penalties, against numpy's covariance and finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from vaejax.distributions import Gaussian
from vaejax.objectives.dip import moments, penalty, penalty_terms


def rows(n=40, size=3, seed=0):
  random = np.random.default_rng(seed)
  mean = random.normal(size=(n, size)) @ random.normal(size=(size, size)) + 0.7
  return mean, 0.4 * random.normal(size=(n, size))


@pytest.mark.parametrize('kind', ['i', 'ii'])
def test_the_penalty_is_the_formula(kind):
  mean, log_scale = rows()
  covariance = np.cov(mean.T, bias=True)
  if kind == 'ii':  # the law of total variance
    covariance += np.diag(np.exp(2 * log_scale).mean(0))
  own = np.diag(covariance)
  want = 3 * (np.square(covariance).sum() - np.square(own).sum()) + 5 * np.square(own - 1).sum()
  got = penalty(kind, moments(jnp.asarray(mean), jnp.exp(2 * log_scale)), 3.0, 5.0)
  np.testing.assert_allclose(got, want, rtol=1e-4)


def test_uncorrelated_posteriors_of_unit_variance_cost_nothing():
  mean = np.float64([[1, 1], [1, -1], [-1, 1], [-1, -1]])
  assert abs(penalty('i', moments(jnp.asarray(mean), jnp.zeros((4, 2))), 3.0, 5.0)) < 1e-6
  # Half of the variance from the means, half from the posteriors.
  half = moments(jnp.asarray(mean) * 0.5**0.5, jnp.full((4, 2), 0.5))
  assert abs(penalty('ii', half, 3.0, 5.0)) < 1e-6 < penalty('i', half, 3.0, 5.0)


@pytest.mark.parametrize('kind', ['i', 'ii'])
def test_terms_have_the_mean_and_the_gradient_of_the_penalty(kind):
  with jax.enable_x64(True):
    arguments = tuple(jnp.asarray(x) for x in rows())

    def by_terms(mean, log_scale, parts=1):
      q = Gaussian(mean, log_scale)
      whole = moments(mean, jnp.square(q.scale))
      chunks = [jax.tree.map(lambda x, i=i: x[i::parts], q) for i in range(parts)]
      return jnp.mean(jnp.stack([penalty_terms(kind, q, whole, 3.0, 5.0).mean() for q in chunks]))

    def formula(mean, log_scale):
      return penalty(kind, moments(mean, jnp.exp(2 * log_scale)), 3.0, 5.0)

    check_grads(formula, arguments, order=1, modes=['rev'], atol=1e-5, rtol=1e-5)
    want, slope = jax.value_and_grad(formula, argnums=(0, 1))(*arguments)
    for parts in (1, 4):
      got, found = jax.value_and_grad(by_terms, argnums=(0, 1))(*arguments, parts)
      np.testing.assert_allclose(got, want, rtol=1e-9)
      for a, b in zip(found, slope, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-10)
