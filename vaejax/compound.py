"""Distributions of latents: codes, mixtures, tuples, chains, and paths along time.

A value of a Joint, a Chain or a Reversed is a tuple, and so is its `log_prob`. They have
`factors(x)`, the conditionals at a value, which `divergence` uses.
"""

import jax
import jax.numpy as jnp

from vaejax.distributions import Gaussian, distribution, kl, per_example


@distribution
class Codes:
  """One of K codes per element, int32 [...]; logits [..., K]. `mean` is the most probable code."""

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
  """A point mass at a given value [B, ...]. `log_prob` is 0, [B], and assumes x is that value."""

  mean: jax.Array

  def sample(self, key, temperature=1.0):
    return self.mean

  def log_prob(self, x):
    return jnp.zeros(self.mean.shape[:1])


@distribution
class Mixture:
  """A mixture of K diagonal Gaussians: logits [B, K], means and log_scales [B or 1, K, ...]. Each
  example belongs to one component, so log_prob is [B]. `temperature` scales the noise within a
  component."""

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

    def select(x):
      x, component = jnp.broadcast_to(x, (n, *shape)), index.reshape(n, *[1] * len(shape))
      return jnp.take_along_axis(x, component, axis=1)[:, 0]

    return Gaussian(select(self.means), select(self.log_scales)).sample(key, temperature)

  def log_prob(self, x):
    components = Gaussian(self.means, self.log_scales).log_prob(x[:, None])
    components = jnp.sum(components, axis=tuple(range(2, components.ndim)))
    return jax.nn.logsumexp(jax.nn.log_softmax(self.logits) + components, axis=1)


@distribution
class Joint:
  """Independent parts. A value is a tuple with one entry for each part."""

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
    """The distribution of each entry of a value."""
    return self.parts


@distribution
class Chain:
  """p(z_1) p(z_2|z_1) ...; `mean` follows the conditional means.

  Attributes:
    first: p(z_1).
    links: functions from the tuple of all previous values to a distribution. Each is a
      jax.tree_util.Partial of a function that is created once, so that `jit` can return a Chain;
      it holds only the variables of the nets that it uses.
  """

  first: object
  links: tuple

  def follow(self, choose):
    """The values choose(i, p_i) for each conditional p_i in turn, as a tuple."""
    values = (choose(0, self.first),)
    for i, link in enumerate(self.links, 1):
      values = (*values, choose(i, link(values)))
    return values

  @property
  def mean(self):
    return self.follow(lambda i, p: p.mean)

  def sample(self, key, temperature=1.0):
    keys = jax.random.split(key, 1 + len(self.links))
    return self.follow(lambda i, p: p.sample(keys[i], temperature))

  def factors(self, x):
    """The conditional of each entry of a value, given the entries before it."""
    return (self.first, *(link(x[:i]) for i, link in enumerate(self.links, 1)))

  def log_prob(self, x):
    return tuple(p.log_prob(value) for p, value in zip(self.factors(x), x, strict=True))


@distribution
class Reversed:
  """A Chain p(z_L) p(z_{L-1}|z_L) ... whose values are in reverse order, (z_1, ..., z_L), as those
  of a posterior that begins with z_1."""

  chain: Chain

  @property
  def mean(self):
    return self.chain.mean[::-1]

  def sample(self, key, temperature=1.0):
    return self.chain.sample(key, temperature)[::-1]

  def factors(self, x):
    """The conditional of each entry of a value, given the entries after it."""
    return self.chain.factors(x[::-1])[::-1]

  def log_prob(self, x):
    return self.chain.log_prob(x[::-1])[::-1]


@distribution
class Path:
  """Frames [B, T, ...], each conditioned on the previous ones.

  Attributes:
    conditionals: x -> the distribution of every frame of x, given the previous ones.
    run: (key, temperature) -> a sample, frame by frame; with key None, the path of the means.
    Both are a jax.tree_util.Partial, like the links of a Chain.
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
  """KL(q || p) in nats at a draw z from q; for a tuple z, a tuple with the KL of each entry.

  With `analytic`, the KL of two Gaussians is in closed form, element-wise [B, ...]. Otherwise it is
  log q(z) - log p(z): element-wise if both are, else [B].
  """
  if isinstance(z, tuple):
    parts = zip(q.factors(z), p.factors(z), z, strict=True)
    return tuple(divergence(*part, analytic) for part in parts)
  if analytic and isinstance(q, Gaussian) and isinstance(p, Gaussian):
    return kl(q, p)
  log_q, log_p = q.log_prob(z), p.log_prob(z)
  if log_q.shape != log_p.shape:  # [B, L] - [B] would be broadcast where B = L
    log_q, log_p = per_example(log_q), per_example(log_p)
  return log_q - log_p
