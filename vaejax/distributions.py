"""Distributions as pytrees. `log_prob` is element-wise, in nats; sums over an example come last.

Every distribution has `mean` (element-wise), `sample(key)`, `log_prob(x)`, its sum over an example
`total_log_prob(x)`, and `sample_and_log_prob(key)`. Distributions of latents also take a
`temperature`, which scales the noise of a sample. Parameters and values have the same shape; only a
scalar or per-channel scale is broadcast. A value is an array [B, ...], or a tuple for some
distributions in compound.py.
"""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from vaejax.softplus import softplus

# At most so many factors from 1 to 2 are multiplied: 2^120 is below the largest float32, 2^128.
MAX_FACTORS = 120


def per_example(values) -> jax.Array:
  """The sum over all axes except the batch: [B, ...], or a tree of such arrays -> [B]."""
  return sum(map(_row_sums, jax.tree.leaves(values)))


def _row_sums(values: jax.Array) -> jax.Array:
  # A matrix product, because XLA fuses a sum over [H, W, C] with the computation of its terms into
  # a loop that is twenty times slower on a CPU: longer than the rest of a training step together.
  flat = values.reshape(values.shape[0], -1)
  return jnp.matmul(flat, jnp.ones(flat.shape[1], flat.dtype), precision='highest')


def distribution(cls):
  """Class decorator: a frozen dataclass that is a pytree of its fields, except the `static` ones.

  It is registered as a custom node, not as a dataclass. JAX 0.10 to 0.12 treats the tree structures
  of two dataclasses with equally many fields as equal, so `jit` can run the other one's program.
  """
  cls = dataclasses.dataclass(frozen=True, eq=False)(cls)
  fields = dataclasses.fields(cls)
  count = sum('static' not in field.metadata for field in fields)  # static fields come last

  def flatten(p):
    values = tuple(getattr(p, field.name) for field in fields)
    return values[:count], values[count:]

  jax.tree_util.register_pytree_node(cls, flatten, lambda fixed, arrays: cls(*arrays, *fixed))
  if not hasattr(cls, 'sample_and_log_prob'):
    cls.sample_and_log_prob = sample_and_log_prob
  if not hasattr(cls, 'total_log_prob'):
    cls.total_log_prob = total_log_prob
  return cls


def sample_and_log_prob(self, key):
  """A sample, and its `log_prob`."""
  x = self.sample(key)
  return x, self.log_prob(x)


def total_log_prob(self, x) -> jax.Array:
  """The log probability of each example, [B]."""
  return per_example(self.log_prob(x))


def static(default):
  """A field of a distribution that is not an array. Another value compiles another program."""
  return dataclasses.field(default=default, metadata={'static': True})


@distribution
class Bernoulli:
  """x in {0, 1}. For grey levels in [0, 1], `log_prob` is the negative cross-entropy."""

  logits: jax.Array

  @property
  def mean(self):
    return jax.nn.sigmoid(self.logits)

  def sample(self, key):
    return jax.random.bernoulli(key, self.mean).astype(self.logits.dtype)

  def log_prob(self, x):
    return x * self.logits - softplus(self.logits)

  def total_log_prob(self, x):
    """The sum of `log_prob` over an example, [B], up to rounding. Its gradient is slow.

    The softplus terms of a group of elements add up to the logarithm of one product, so a group
    needs one logarithm. This halves the time of a small net's likelihood on a CPU.
    """
    size = math.prod(self.logits.shape[1:])
    group = next(n for n in range(MAX_FACTORS, 0, -1) if size % n == 0)
    if group < 8:
      return per_example(self.log_prob(x))
    factors = 1 + jnp.exp(-jnp.abs(self.logits))  # 1 to 2
    products = jnp.prod(factors.reshape(-1, size // group, group), axis=-1)
    linear = x * self.logits - jnp.maximum(self.logits, 0)
    return per_example(linear) - jnp.sum(jnp.log(products), axis=-1)


@distribution
class Gaussian:
  mean: jax.Array
  log_scale: jax.Array

  @property
  def scale(self):
    return jnp.exp(self.log_scale)

  def sample(self, key, temperature=1.0):
    noise = jax.random.normal(key, self.mean.shape, self.mean.dtype)
    return self.mean + temperature * jnp.exp(self.log_scale) * noise

  def log_prob(self, x):
    error = (x - self.mean) * jnp.exp(-self.log_scale)
    return -0.5 * (jnp.square(error) + math.log(2 * math.pi)) - self.log_scale


@distribution
class Laplace:
  mean: jax.Array
  log_scale: jax.Array

  def sample(self, key):
    noise = jax.random.laplace(key, self.mean.shape, self.mean.dtype)
    return self.mean + jnp.exp(self.log_scale) * noise

  def log_prob(self, x):
    return -jnp.abs(x - self.mean) * jnp.exp(-self.log_scale) - self.log_scale - math.log(2)


@distribution
class InUnits:
  """A density of the data y inside a method, per unit of the real numbers that y stands for:
  `log_prob` adds log |dy/dx|."""

  inner: Any
  units: Any = static(None)

  @property
  def mean(self):
    return self.inner.mean

  def sample(self, key):
    return self.inner.sample(key)

  def log_prob(self, y):
    return self.inner.log_prob(y) + self.units.log_det(y)


@distribution
class DiscretisedLogistic:
  """A logistic distribution discretised to `levels` equal bins, centred on `low` to `high`. The
  outer bins include the tails (PixelCNN++, Salimans et al. 2017, arXiv:1701.05517, section 2.1)."""

  location: jax.Array
  log_scale: jax.Array
  low: float = static(0.0)
  high: float = static(1.0)
  levels: int = static(256)

  @property
  def width(self):
    return (self.high - self.low) / (self.levels - 1)

  @property
  def mean(self):
    """The mean of the density with its tails moved to `low` and `high`. It equals the mean of the
    bins up to the rounding within one bin."""
    scale = jnp.exp(self.log_scale)
    low, high = ((self.location - end) / scale for end in (self.low, self.high))
    return self.low + scale * (softplus(low) - softplus(high))

  def sample(self, key):
    noise = jax.random.logistic(key, self.location.shape, self.location.dtype)
    x = self.location + jnp.exp(self.log_scale) * noise
    bins = jnp.clip(jnp.round((x - self.low) / self.width), 0, self.levels - 1)
    return self.low + self.width * bins

  def log_prob(self, x):
    inverse = jnp.exp(-self.log_scale)
    shift, half = (x - self.location) * inverse, self.width / 2 * inverse
    # log of cdf(upper) and of 1 - cdf(lower), at the edges of the bin of x.
    below, above = -softplus(-shift - half), -softplus(shift - half)
    # cdf(upper) - cdf(lower) = cdf(upper) (1 - cdf(lower)) (1 - exp(lower - upper)). The product
    # form avoids cancellation in bins far from the mean.
    inner = below + above + jnp.log(-jnp.expm1(-2 * half))
    inner = jnp.where(x > self.high - self.width / 2, above, inner)
    return jnp.where(x < self.low + self.width / 2, below, inner)


@distribution
class Categorical:
  """One of `levels` evenly spaced values from `low` to `high` per element; logits [..., levels]."""

  logits: jax.Array
  low: float = static(0.0)
  high: float = static(1.0)

  @property
  def values(self):
    return jnp.linspace(self.low, self.high, self.logits.shape[-1])

  @property
  def mean(self):
    return jax.nn.softmax(self.logits) @ self.values

  def sample(self, key):
    return self.values[jax.random.categorical(key, self.logits)]

  def log_prob(self, x):
    steps = (x - self.low) / (self.high - self.low) * (self.logits.shape[-1] - 1)
    index = jnp.round(steps).astype(jnp.int32)[..., None]
    return jnp.take_along_axis(jax.nn.log_softmax(self.logits), index, axis=-1)[..., 0]


def standard(shape, dtype=jnp.float32) -> Gaussian:
  """N(0, 1) in every element of `shape`."""
  return Gaussian(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))


def kl(q: Gaussian, p: Gaussian) -> jax.Array:
  """KL(q || p), element-wise, in nats (Kingma & Welling 2014, appendix B)."""
  ratio = q.log_scale - p.log_scale
  error = (q.mean - p.mean) * jnp.exp(-p.log_scale)
  return 0.5 * (jnp.exp(2 * ratio) + jnp.square(error) - 1) - ratio
