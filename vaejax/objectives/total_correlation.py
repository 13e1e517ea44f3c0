"""The aggregate posterior q(z) = E_x q(z|x) of diagonal Gaussians, and the parts of the KL that it
splits: E KL(q(z|x) || p(z)) = I(x; z) + total correlation + dimension-wise KL (Chen et al. 2018,
arXiv:1802.04942, equation 2). All in nats."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vaejax.distributions import Gaussian

ESTIMATORS = ('weighted', 'stratified')


class Parts(NamedTuple):
  """The parts of the KL at a draw of z for each example, [B] each."""

  mutual_information: jax.Array
  total_correlation: jax.Array
  dimension_kl: jax.Array


def pairwise(z: jax.Array, q: Gaussian) -> jax.Array:
  """log q(z_ij | x_k) for every draw z [B, L] and every row of q over [N, L]: [B, N, L]."""
  rows = jax.tree.map(lambda x: jnp.broadcast_to(x, q.mean.shape)[None], q)
  return rows.log_prob(z[:, None])


def log_weights(estimator: str, batch: int, rows: int = 0) -> jax.Array:
  """The log weights [B, B] of the densities q(z_i|x_k) in an estimate of q(z_i) from a batch.

  Args:
    estimator: 'weighted', where each is 1 / (N B) (equation 5); or 'stratified', where those of a
      row are 1/N for k = i, 1/M for M - 1 others and (N - M) / (N M) for one, with M = B - 1
      (appendix C.2). The released code has the last two in fixed columns instead of next to k = i.
    batch: B.
    rows: N, the number of training examples, at least B. 0: far more than B. `weighted` then leaves
      out the factor 1 / N, which only adds a constant to log q(z).
  """
  if estimator == 'weighted':
    return jnp.full((batch, batch), -math.log(max(rows, 1) * batch))
  m = batch - 1
  same, last = (1 / rows, (rows - m) / (rows * m)) if rows else (0.0, 1 / m)
  index = jnp.arange(batch)
  weights = jnp.full((batch, batch), 1 / m).at[index, index].set(same)
  return jnp.log(weights.at[index, (index + 1) % batch].set(last))


def log_aggregate(log_q: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
  """log q(z) [B] and log q(z_j) [B, L], from `pairwise` [B, N, L] and log weights [B, N]."""
  joint = jax.nn.logsumexp(jnp.sum(log_q, axis=-1) + weights, axis=1)
  return joint, jax.nn.logsumexp(log_q + weights[..., None], axis=1)


def decompose(z: jax.Array, q: Gaussian, log_prior: jax.Array, estimator: str, rows=0) -> Parts:
  """The parts of the KL, estimated from one batch.

  Args:
    z: a draw from each row of q, [B, L].
    q: q(z|x) over [B, L].
    log_prior: log p(z), [B].
    estimator, rows: see `log_weights`.
  """
  log_q = pairwise(z, q)
  joint, marginals = log_aggregate(log_q, log_weights(estimator, z.shape[0], rows))
  product = jnp.sum(marginals, axis=-1)
  given_x = jnp.sum(q.log_prob(z), axis=-1)
  return Parts(given_x - joint, joint - product, product - log_prior)


def permute(z: jax.Array, key: jax.Array) -> jax.Array:
  """The codes z [B, L] with each dimension permuted independently over the rows: draws from the
  product of the marginals (Kim & Mnih 2018, arXiv:1802.05983, algorithm 1)."""
  order = jax.random.uniform(key, z.shape)
  return jnp.take_along_axis(z, jnp.argsort(order, axis=0), axis=0)
