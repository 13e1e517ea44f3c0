"""The penalties of DIP-VAE on the covariance of the aggregate posterior (Kumar et al. 2018,
arXiv:1711.00848): functions of means over a batch."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from vaejax.distributions import Gaussian

KINDS = ('i', 'ii')


class Moments(NamedTuple):
  """Means over rows of q(z|x): of its mean [L], of the products of its means [L, L], and of its
  variance [L]."""

  mean: jax.Array
  product: jax.Array
  variance: jax.Array


def moments(mean: jax.Array, variance: jax.Array) -> Moments:
  """The moments of posteriors with means and variances [N, L]."""
  product = jnp.matmul(mean.T, mean, precision='highest') / mean.shape[0]
  return Moments(jnp.mean(mean, axis=0), product, jnp.mean(variance, axis=0))


def penalty(kind: str, moments: Moments, off_diagonal, diagonal) -> jax.Array:
  """off_diagonal · Σ_{i≠j} C_ij² + diagonal · Σ_i (C_ii - 1)² (equations 6 and 7), a scalar.

  C is the covariance of the means of q(z|x) for kind 'i', and that of z, which adds the mean
  variance of q(z|x), for kind 'ii'.
  """
  covariance = moments.product - jnp.outer(moments.mean, moments.mean)
  if kind == 'ii':
    covariance = covariance + jnp.diag(moments.variance)
  variances = jnp.diag(covariance)
  rest = jnp.sum(jnp.square(covariance)) - jnp.sum(jnp.square(variances))
  return off_diagonal * rest + diagonal * jnp.sum(jnp.square(variances - 1))


def penalty_terms(kind: str, q: Gaussian, whole: Moments, off_diagonal, diagonal) -> jax.Array:
  """Terms [B] whose mean over a batch has the value and the gradient of `penalty`: its tangent at
  the moments of the whole batch, evaluated at each row of q over [B, L]. So a batch can be computed
  in parts."""
  whole = jax.lax.stop_gradient(whole)
  value, slope = jax.value_and_grad(penalty, argnums=1)(kind, whole, off_diagonal, diagonal)
  mean, variance = q.mean, jnp.square(q.scale)
  dot = lambda a, b: jnp.sum(a * b)
  at_whole = sum(jax.tree.leaves(jax.tree.map(dot, whole, slope)))
  products = jnp.sum((mean @ slope.product) * mean, axis=-1)
  return value - at_whole + mean @ slope.mean + products + variance @ slope.variance
