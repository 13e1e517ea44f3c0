"""The evidence lower bound and its relatives, as maths on arrays: per example, in nats."""

import jax
import jax.numpy as jnp
from flax import struct

from vaejax.compound import divergence
from vaejax.distributions import per_example


@struct.dataclass
class Terms:
  """recon [B] = -log p(x|z); kl = KL(q || p) of each latent dimension, [B, ...] or a tuple."""

  recon: jax.Array
  kl: jax.Array


def elbo(x, p, q, prior, z, analytic=True) -> Terms:
  """The two terms of -ELBO = recon + kl (Kingma & Welling 2014, equations 7 and 10).

  Args:
    x: data [B, ...]; p: the likelihood p(x|z), parameters [B, ...].
    q, prior: posterior and prior of the latents, parameters [B, ...].
    z: one draw from q, [B, ...], or a tuple.
    analytic: the KL in closed form where there is one, see `divergence`; else at the draw.
  """
  return Terms(recon=-per_example(p.log_prob(x)), kl=divergence(q, prior, z, analytic))


def rate(divergence, capacity=0.0, free_bits=0.0, weights=None) -> jax.Array:
  """The scalar that beta multiplies, from the KL of each latent dimension, [B, ...] or a tuple.

  free_bits: sum_j max(free_bits, mean_B KL_j), in nats per dimension (Kingma et al. 2016,
  equation 15). capacity: |KL - capacity| in nats (Burgess et al. 2018, equation 8). At zero both
  leave the plain KL, also where a sampled KL is negative. weights [B]: of the examples in the mean.
  """
  total = 0.0
  for values in jax.tree.leaves(divergence):
    each = jnp.average(values, axis=0, weights=weights)
    total += jnp.sum(jnp.where(free_bits > 0, jnp.maximum(each, free_bits), each))
  return jnp.where(capacity > 0, jnp.abs(total - capacity), total)


def log_mean_exp(log_weights, axis=0) -> jax.Array:
  """log of the mean of exp: of K importance weights, the IWAE bound (Burda et al. 2016, eq. 8)."""
  return jax.nn.logsumexp(log_weights, axis=axis) - jnp.log(log_weights.shape[axis])
