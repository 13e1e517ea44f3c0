"""Distributions of a picture of which a part is known."""

from typing import Any

import jax
import jax.numpy as jnp

from vaejax.distributions import distribution, per_example
from vaejax.softplus import softplus


@distribution
class Known:
  """A distribution of x of which some elements are known: those are certain, with log_prob 0.

  x: the known values, [B, ...]. known: where they are, bool [B, ...].
  """

  inner: Any
  x: jax.Array
  known: jax.Array

  @property
  def mean(self):
    return jnp.where(self.known, self.x, self.inner.mean)

  def sample(self, key):
    return jnp.where(self.known, self.x, self.inner.sample(key))

  def log_prob(self, x):
    return jnp.where(self.known, 0.0, self.inner.log_prob(x))


@distribution
class OrMirror:
  """A prediction of x, or the mirrored source instead of its mean where a net says that x is
  symmetric. Half of all emoji are, and no net completes them as exactly.

  logit: of x being symmetric, [B]. It is a function of z, so versions of a picture can be both. The
  density is that of the prediction; see `symmetry_loss`.
  """

  inner: Any
  mirror: jax.Array
  logit: jax.Array

  @property
  def symmetric(self):
    return (self.logit > 0).reshape(-1, *[1] * (self.mirror.ndim - 1))

  @property
  def mean(self):
    return jnp.where(self.symmetric, self.mirror, self.inner.mean)

  def sample(self, key):
    return jnp.where(self.symmetric, self.mirror, self.inner.sample(key))

  def log_prob(self, x):
    return self.inner.log_prob(x)


def symmetry_loss(p, x: jax.Array) -> jax.Array:
  """The cross-entropy of the logit of an OrMirror and whether the mirrored source is nearer to x
  than the prediction, in nats, [B]; 0 for another distribution."""
  p = p.inner if isinstance(p, Known) else p
  if not isinstance(p, OrMirror):
    return jnp.zeros(x.shape[0])
  error = lambda y: per_example(jnp.abs(y - x))
  target = jax.lax.stop_gradient(error(p.mirror) < error(p.inner.mean))
  return softplus(jnp.where(target, -p.logit, p.logit))
