"""Distributions that latents are made of: codes, mixtures, tuples, chains, paths along time.

A value of a Joint or a Chain is a tuple, and so is its `log_prob`. Both give `factors(x)`, the
conditionals at a value, so that one `divergence` is of all.
"""

import jax
import jax.numpy as jnp

from vaejax.distributions import Gaussian, distribution, kl, per_example


@distribution
class Codes:
  """One of K codes per element, int32 [...]; logits [..., K]. Its `mean` is the most probable."""

  logits: jax.Array

  @property
  def mean(self):
    return jnp.argmax(self.logits, axis=-1).astype(jnp.int32)

  def sample(self, key, temperature=1.0):
    noise = jax.random.gumbel(key, self.logits.shape, self.logits.dtype)
    return jnp.argmax(self.logits + temperature * noise, axis=-1).astype(jnp.int32)

  def log_prob(self, x):
    return jnp.take_along_axis(jax.nn.log_softmax(self.logits), x[..., None], axis=-1)[..., 0]


@distribution
class Point:
  """A value [B, ...] that is given: log_prob is 0, [B], and is not asked of another value."""

  mean: jax.Array

  def sample(self, key, temperature=1.0):
    return self.mean

  def log_prob(self, x):
    return jnp.zeros(self.mean.shape[:1])


@distribution
class Mixture:
  """A mixture of K diagonal Gaussians: logits [B, K], mean and log_scale [B or 1, K, ...]. An
  example is of one component as a whole, so log_prob is [B]; `temperature` scales the noise within.
  """

  logits: jax.Array
  means: jax.Array
  log_scales: jax.Array

  @property
  def mean(self):
    weights = jax.nn.softmax(self.logits)
    weights = weights.reshape(*weights.shape, *[1] * (self.means.ndim - 2))
    return jnp.sum(weights * self.means, axis=1)

  def sample(self, key, temperature=1.0):
    index_key, key = jax.random.split(key)
    index = jax.random.categorical(index_key, self.logits)
    n, shape = self.logits.shape[0], self.means.shape[1:]

    def chosen(x):
      x, at = jnp.broadcast_to(x, (n, *shape)), index.reshape(n, *[1] * len(shape))
      return jnp.take_along_axis(x, at, axis=1)[:, 0]

    return Gaussian(chosen(self.means), chosen(self.log_scales)).sample(key, temperature)

  def log_prob(self, x):
    each = Gaussian(self.means, self.log_scales).log_prob(x[:, None])
    each = jnp.sum(each, axis=tuple(range(2, each.ndim)))
    return jax.nn.logsumexp(jax.nn.log_softmax(self.logits) + each, axis=1)


@distribution
class Joint:
  """Independent parts: values are tuples, one entry for each part."""

  parts: tuple

  @property
  def mean(self):
    return tuple(part.mean for part in self.parts)

  @property
  def scale(self):
    return tuple(part.scale for part in self.parts)

  def sample(self, key, temperature=1.0):
    keys = jax.random.split(key, len(self.parts))
    return tuple(part.sample(k, temperature) for part, k in zip(self.parts, keys, strict=True))

  def log_prob(self, x):
    return tuple(part.log_prob(value) for part, value in zip(self.parts, x, strict=True))

  def factors(self, x):
    """The conditionals at a value, one for each of its entries."""
    return self.parts


@distribution
class Chain:
  """p(z_1) p(z_2|z_1) ...: `first`, then links, each from the tuple of all values before it to a
  distribution. A link is a jax.tree_util.Partial of a function that is made once, so that a Chain
  may leave `jit`, with the variables of its own nets alone. Its `mean` follows the means."""

  first: object
  links: tuple

  def follow(self, choose):
    """The tuple of choose(number, conditional), in turn."""
    values = (choose(0, self.first),)
    for number, link in enumerate(self.links, 1):
      values = (*values, choose(number, link(values)))
    return values

  @property
  def mean(self):
    return self.follow(lambda number, p: p.mean)

  def sample(self, key, temperature=1.0):
    keys = jax.random.split(key, 1 + len(self.links))
    return self.follow(lambda number, p: p.sample(keys[number], temperature))

  def factors(self, x):
    """The conditionals at a value, one for each of its entries."""
    return (self.first, *(link(x[:number]) for number, link in enumerate(self.links, 1)))

  def log_prob(self, x):
    return tuple(p.log_prob(value) for p, value in zip(self.factors(x), x, strict=True))


@distribution
class Path:
  """Frames [B, T, ...], each given those before it.

  Attributes:
    conditionals: x -> the distributions of all its frames, given those before them.
    run: (key or None, temperature) -> a draw, frame by frame, or the path of the means.
    Both are a jax.tree_util.Partial, as links of a Chain are.
  """

  conditionals: object
  run: object

  @property
  def mean(self):
    return self.run(None, 0.0)

  def sample(self, key, temperature=1.0):
    return self.run(key, temperature)

  def log_prob(self, x):
    return self.conditionals(x).log_prob(x)


def divergence(q, p, z, analytic=True):
  """KL(q || p) in nats from a draw z of q, [B, ...], or a tuple for each entry of a tuple: of two
  Gaussians in closed form and element-wise, if `analytic`; else log q(z) - log p(z), element-wise
  where both are, else [B]."""
  if isinstance(z, tuple):
    parts = zip(q.factors(z), p.factors(z), z, strict=True)
    return tuple(divergence(*part, analytic) for part in parts)
  if analytic and isinstance(q, Gaussian) and isinstance(p, Gaussian):
    return kl(q, p)
  log_q, log_p = q.log_prob(z), p.log_prob(z)
  if log_q.shape != log_p.shape:  # [B, L] - [B] would be broadcast where B = L
    log_q, log_p = per_example(log_q), per_example(log_p)
  return log_q - log_p
