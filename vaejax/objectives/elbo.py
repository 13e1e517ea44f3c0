"""The evidence lower bound and its variants, per example and in nats."""

import jax
import jax.numpy as jnp
from flax import struct

from vaejax.compound import divergence
from vaejax.distributions import per_example


@struct.dataclass
class Terms:
  """recon [B] is -log p(x|z); kl is KL(q || p) of each latent dimension, [B, ...] or a tuple."""

  recon: jax.Array
  kl: jax.Array


def elbo(x, p, q, prior, z, analytic=True) -> Terms:
  """The two terms of -ELBO = recon + kl (Kingma & Welling 2014, equations 7 and 10).

  Args:
    x: data [B, ...].
    p: the likelihood p(x|z), with parameters [B, ...].
    q, prior: posterior and prior of the latents, with parameters [B, ...].
    z: one draw from q, [B, ...] or a tuple.
    analytic: whether the KL is computed in closed form where possible (see `divergence`), rather
      than at z.
  """
  return Terms(recon=-per_example(p.log_prob(x)), kl=divergence(q, prior, z, analytic))


def rate(mean_kl: jax.Array, capacity=0.0, free_bits=0.0) -> jax.Array:
  """The scalar KL term that beta multiplies, from the mean over the batch of the KL of each latent
  dimension, [F].

  Args:
    free_bits: a lower limit of the KL of each dimension, in nats: the term is
      sum_j max(free_bits, mean_B KL_j) (Kingma et al. 2016, equation 15). 0 is no limit.
    capacity: a target in nats: the term is |KL - capacity| (Burgess et al. 2018, equation 8). 0 is
      no target. A sampled KL may be negative and is then left as it is.
  """
  total = jnp.sum(jnp.where(free_bits > 0, jnp.maximum(mean_kl, free_bits), mean_kl))
  return jnp.where(capacity > 0, jnp.abs(total - capacity), total)


def rate_terms(kl: jax.Array, mean_kl: jax.Array, capacity=0.0, free_bits=0.0) -> jax.Array:
  """The terms [B] whose mean over a batch is `rate(mean_kl)`, with the same gradient: the tangent
  of `rate` at `mean_kl` [F], evaluated at `kl` [B, F] of each example.

  `mean_kl` is the mean of `kl` over the whole batch. Once it is known, the terms can be computed
  for parts of the batch.
  """
  mean_kl = jax.lax.stop_gradient(mean_kl)
  value, slope = jax.value_and_grad(rate)(mean_kl, capacity, free_bits)
  return value + (kl - mean_kl) @ slope


def log_mean_exp(log_weights, axis=0) -> jax.Array:
  """log(mean(exp(log_weights))): for K importance weights, the IWAE bound (Burda et al. 2016,
  equation 8)."""
  return jax.nn.logsumexp(log_weights, axis=axis) - jnp.log(log_weights.shape[axis])
