"""Parts of the KL of an aggregate posterior, against closed forms of Gaussians and plain numpy."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

from vaejax.distributions import Gaussian
from vaejax.objectives.total_correlation import (
  decompose,
  log_aggregate,
  log_weights,
  pairwise,
  permute,
)


def posteriors(n, covariance, scale, seed=0):
  """Posteriors of equal scale whose aggregate is N(0, covariance), and a draw of each, float64."""
  random = np.random.default_rng(seed)
  size = len(covariance)
  means = random.multivariate_normal(np.zeros(size), covariance - scale**2 * np.eye(size), n)
  z = means + scale * random.normal(size=(n, size))
  return Gaussian(jnp.asarray(means), jnp.full((n, size), math.log(scale))), jnp.asarray(z)


def small(n=5, size=3):
  random = np.random.default_rng(1)
  q = Gaussian(*(jnp.asarray(random.normal(size=(n, size)) * s) for s in (1.0, 0.3)))
  return q, q.sample(jax.random.key(0))


def test_parts_of_a_correlated_gaussian():
  """TC = -1/2 log det R, I(x; z) = 1/2 log det(C / s²), and KL(q(z_j) || p) of variances."""
  covariance, scale = np.array([[1.0, 0.8], [0.8, 2.0]]), 0.5
  q, z = posteriors(4000, covariance, scale)
  log_p = norm.logpdf(np.asarray(z)).sum(1)
  parts = decompose(z, q, jnp.asarray(log_p), 'weighted', rows=1)
  mi = 0.5 * np.log(np.linalg.det(covariance / scale**2))
  tc = -0.5 * np.log(1 - 0.8**2 / 2)
  rest = 0.5 * (2.0 - 1 - np.log(2.0))
  for values, want in zip(parts, (mi, tc, rest), strict=True):
    error = float(jnp.std(values)) / math.sqrt(4000)
    assert abs(float(jnp.mean(values)) - want) < 5 * error + 0.01, want
  assert tc > 0.19 and mi > 1.5


def test_parts_sum_to_the_kl_at_the_draw_with_any_estimator():
  q, z = small()
  log_p = jnp.sum(norm_log(z), axis=-1)
  for estimator, rows in (('weighted', 0), ('weighted', 99), ('stratified', 0), ('stratified', 99)):
    parts = decompose(z, q, log_p, estimator, rows)
    want = jnp.sum(q.log_prob(z), axis=-1) - log_p
    np.testing.assert_allclose(sum(parts), want, rtol=1e-5, atol=1e-5)


def norm_log(z):
  return -0.5 * jnp.square(z) - 0.5 * math.log(2 * math.pi)


def test_weighted_is_equation_5():
  q, z = small()
  joint, marginals = log_aggregate(pairwise(z, q), log_weights('weighted', 5, 99))
  scale = np.asarray(q.scale)
  for i in range(5):
    each = [norm.logpdf(np.asarray(z)[i], np.asarray(q.mean)[k], scale[k]) for k in range(5)]
    want = logsumexp(np.sum(each, axis=1)) - math.log(99 * 5)
    np.testing.assert_allclose(joint[i], want, rtol=1e-4)
    np.testing.assert_allclose(marginals[i], logsumexp(each, axis=0) - math.log(99 * 5), rtol=1e-4)


def test_stratified_weights():
  """1/N at the row itself, (N - M) / (N M) at one other, 1/M elsewhere: each row sums to 1."""
  weights = np.exp(log_weights('stratified', 4, 10))
  np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
  np.testing.assert_allclose(np.diag(weights), 0.1, rtol=1e-6)
  np.testing.assert_allclose(weights[[0, 1, 2, 3], [1, 2, 3, 0]], 7 / 30, rtol=1e-6)
  np.testing.assert_allclose(weights[0, 2:], 1 / 3, rtol=1e-6)
  # Of very many rows, the row itself counts nothing.
  assert np.diag(np.exp(log_weights('stratified', 4))).max() == 0


def test_stratified_sampling_is_unbiased_for_the_density_of_all_rows():
  """Over batches that start with the row itself, the mean estimate of q(z) is that of all rows."""
  q, z = small(n=6, size=2)
  full = np.exp(np.sum(pairwise(z[:1], q)[0], axis=-1))
  random, estimates = np.random.default_rng(0), []
  weights = np.exp(log_weights('stratified', 3, 6))[0]
  for _ in range(20_000):
    others = random.permutation(np.arange(1, 6))[:2]
    estimates.append(weights @ full[[0, *others]])
  error = np.std(estimates) / math.sqrt(len(estimates))
  assert abs(np.mean(estimates) - full.mean()) < 5 * error


@pytest.mark.parametrize('estimator', ['weighted', 'stratified'])
def test_gradient_against_finite_differences(estimator):
  q, z = small()
  noise = (z - q.mean) / q.scale

  def value(mean, log_scale):
    q = Gaussian(mean, log_scale)
    z = mean + jnp.exp(log_scale) * noise
    parts = decompose(z, q, jnp.sum(norm_log(z), axis=-1), estimator, 50)
    return jnp.mean(2 * parts[0] + 6 * parts[1] + 0.5 * parts[2])

  with jax.enable_x64(True):
    noise = jnp.asarray(np.float64(noise))
    arguments = [jnp.asarray(np.float64(x)) for x in (q.mean, q.log_scale)]
    check_grads(value, arguments, order=1, modes=['rev'], atol=1e-6, rtol=1e-6)


def test_weighted_gradients_do_not_depend_on_the_number_of_rows():
  q, z = small()
  tc = lambda z, rows: jnp.sum(decompose(z, q, 0.0, 'weighted', rows).total_correlation)
  np.testing.assert_allclose(jax.grad(tc)(z, 5), jax.grad(tc)(z, 50_000), rtol=1e-4, atol=1e-6)


def test_permuted_codes_have_the_marginals_and_no_correlation():
  _, z = posteriors(2000, np.array([[1.0, 0.9], [0.9, 1.0]]), 0.1)
  permuted = permute(z, jax.random.key(3))
  np.testing.assert_array_equal(np.sort(permuted, axis=0), np.sort(z, axis=0))
  assert abs(np.corrcoef(permuted.T)[0, 1]) < 0.1 < np.corrcoef(z.T)[0, 1]


def test_multivariate_density():
  q, z = posteriors(3, np.eye(2), 0.5)
  want = multivariate_normal(np.asarray(q.mean)[1], 0.25 * np.eye(2)).logpdf(np.asarray(z)[0])
  np.testing.assert_allclose(np.sum(pairwise(z, q)[0, 1]), want, rtol=1e-5)
