"""The latent eval, on linear Gaussian posteriors whose values are known in closed form."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from run_eval import example_of, with_errors

from vaejax import latent
from vaejax.distributions import Gaussian, standard
from vaejax.errors import UserError
from vaejax.estimates import Estimate
from vaejax.evals import latent as latent_eval
from vaejax.types import Latent, Method

SIZE = 3
EXAMPLE = example_of((SIZE, 1, 1))


def method(scale, conditions=()):
  """Posteriors N(x @ variables, scale²), and the prior N(0, 1)."""

  def posterior(v, batch, train=False):
    mean = batch['image'].reshape(-1, SIZE) @ v
    return Gaussian(mean, jnp.broadcast_to(jnp.log(jnp.float32(scale)), mean.shape)), v

  prior = lambda v, n, given: (standard((n, SIZE)), v)
  init = lambda key, batch: jnp.zeros((SIZE, SIZE))
  model = Latent(prior, posterior, None, conditions=conditions)
  return latent.complete(Method(init, (), None, None, {}, latent=model), EXAMPLE)


def config(draws=1000):
  return ConfigDict({'method': 'toy', 'eval': {'latent': {'draws': draws}}})


def values(turn, scale, n=4000, conditions=(), **fields):
  x = np.random.default_rng(0).normal(size=(n, SIZE, 1, 1)).astype(np.float32)
  batch = {'image': x, 'mask': np.ones(n, np.float32)} | fields
  e = latent_eval.make(method(scale, conditions), config(), EXAMPLE)
  return with_errors(e, jnp.float32(turn), test=batch)


def close(estimate, want, bias=0.02):
  assert abs(estimate.value - want) < 5 * estimate.error + bias, (estimate, want)


def test_independent_dimensions():
  """z_j = a_j x_j + s_j e: I = Σ 1/2 log(1 + a²/s²), and q(z_j) = N(0, a² + s²)."""
  a, s = np.array([0.8, 0.5, 0.05]), np.array([0.6, 0.8, 1.0])
  found = values(np.diag(a), s)
  variance = a**2 + s**2
  information = 0.5 * np.log(variance / s**2).sum()
  gap = 0.5 * (variance - 1 - np.log(variance)).sum()
  close(found['mutual_information'], information)
  close(found['mutual_information_upper'], information)
  close(found['aggregate_kl'], gap)
  close(found['aggregate_kl_lower'], gap)
  close(found['dimension_kl'], gap)
  close(found['total_correlation'], 0)
  assert found['mutual_information'].value < found['mutual_information_upper'].value
  assert found['aggregate_kl_lower'].value < found['aggregate_kl'].value
  assert found['active_units'].value == 2  # 0.05² < 0.01 < 0.5²
  for j in range(SIZE):
    kl = 0.5 * (a[j] ** 2 + s[j] ** 2 - 1) - math.log(s[j])
    close(found[f'kl_dim_{j}'], kl, 1e-3)
  assert found['latent_correlation'].value < 0.05


def test_correlated_dimensions():
  """Two means with the correlation 0.9, and the total correlation -1/2 log det R."""
  turn = np.array([[0.9, 0.81, 0], [0, 0.81 * math.sqrt(1 / 0.81 - 1) * 0.9 / 0.81 * 0.9, 0]])
  turn = np.vstack([turn, [[0, 0, 0.5]]])
  covariance = turn.T @ turn
  rho = covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1])
  found = values(turn, 0.4)
  total = covariance + 0.16 * np.eye(3)
  r = total / np.sqrt(np.outer(np.diag(total), np.diag(total)))
  close(found['total_correlation'], -0.5 * np.linalg.slogdet(r)[1], 0.03)
  assert rho > 0.8
  assert found['latent_correlation'].value == pytest.approx(rho / 3, abs=0.03)
  # The parts add up to the KL.
  kl = sum(found[f'kl_dim_{j}'].value for j in range(3))
  parts = ('mutual_information', 'total_correlation', 'dimension_kl')
  assert sum(found[name].value for name in parts) == pytest.approx(kl, abs=0.15)
  rest = found['total_correlation'].value + found['dimension_kl'].value
  assert found['aggregate_kl'].value == pytest.approx(rest, abs=1e-4)


def test_information_near_its_limit_has_a_note():
  found = values(np.eye(3), 1e-3, n=200)
  assert found['mutual_information'].value == pytest.approx(math.log(200), abs=0.01)
  assert 'log N = 5.30 nats' in found['mutual_information'].note
  assert found['mutual_information_upper'].value > 3 * math.log(10)


def test_errors_over_data():
  """Of active units and of the KL: the deviation over sets of rows."""
  turn = np.diag([0.1, 0.1, 0.1])  # at the threshold
  assert 0.3 < values(turn, 1.0, n=100)['active_units'].error < 1.5
  assert values(np.eye(3), 1.0, n=100)['active_units'] == Estimate(3, 0, (3, 3))


def test_a_conditional_model_is_not_compared_with_a_prior():
  found = values(np.eye(3), 0.5, conditions=('label',), label=np.zeros(4000, np.int32))
  assert 'mutual_information' in found and 'aggregate_kl' not in found


def test_few_rows_and_posteriors_that_do_not_fit():
  with pytest.raises(UserError, match='needs 10 tested rows or more, but there are 5'):
    values(np.eye(3), 0.5, n=5)
  assert values(np.zeros((3, 3)), 0.5, n=50)['active_units'].value == 0
  with pytest.raises(UserError, match="diagonal Gaussian, which the method 'toy' does not have"):
    latent_eval.make(Method(None, (), None, None, {}), config(), EXAMPLE)
  other = method(1.0)
  other = other._replace(
    latent=other.latent._replace(posterior=lambda v, batch, train=False: (jax.random.key(0), v))
  )
  with pytest.raises(UserError, match='diagonal Gaussian'):
    latent_eval.make(other, config(), EXAMPLE)
