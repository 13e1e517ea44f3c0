"""Distributions as pytrees. `log_prob` is element-wise, in nats; sums over an example come last.

Every distribution has `mean` (of its elements), `sample(key)`, `log_prob(x)` and
`sample_and_log_prob(key)`; those of latents take a `temperature`, which scales the noise.
Parameters and values share one shape; nothing is broadcast silently but a scalar or per-channel
scale. A value is an array [B, ...]; of a Joint or a Chain it is a tuple, and so is log_prob.
"""

import dataclasses
import math

import jax
import jax.numpy as jnp


def per_example(values) -> jax.Array:
  """[B, ...], or a tree of such arrays -> [B]: the sum over everything but the batch."""
  return sum(map(_row_sums, jax.tree.leaves(values)))


def _row_sums(values: jax.Array) -> jax.Array:
  # As a product: XLA fuses a sum over [H, W, C] with what computes its terms into a loop that is
  # twenty times slower on a CPU, and which takes longer than all the rest of a training step.
  flat = values.reshape(values.shape[0], -1)
  return jnp.matmul(flat, jnp.ones(flat.shape[1], flat.dtype), precision='highest')


def softplus(x: jax.Array) -> jax.Array:
  """log(1 + exp(x)), as exact as jax.nn.softplus and four times as fast: that goes by way of
  logaddexp, which guards against infinities that logits do not take."""
  # Not -abs(x): at 0 its gradient is not 0, and ours would not be one half.
  return jnp.maximum(x, 0) + jnp.log1p(jnp.exp(jnp.minimum(x, -x)))


def distribution(cls):
  """A frozen dataclass as a pytree of its fields but the `static` ones.

  It is not registered as a dataclass: JAX (0.10 to 0.12) takes the structures of two of those for
  equal if they have as many fields, and `jit` gives one now and then the other's program.
  """
  cls = dataclasses.dataclass(frozen=True, eq=False)(cls)
  fields = dataclasses.fields(cls)
  count = sum('static' not in field.metadata for field in fields)  # those with a default are last

  def flatten(p):
    values = tuple(getattr(p, field.name) for field in fields)
    return values[:count], values[count:]

  jax.tree_util.register_pytree_node(cls, flatten, lambda fixed, arrays: cls(*arrays, *fixed))
  if not hasattr(cls, 'sample_and_log_prob'):
    cls.sample_and_log_prob = sample_and_log_prob
  return cls


def sample_and_log_prob(self, key):
  """A draw, and its `log_prob`."""
  x = self.sample(key)
  return x, self.log_prob(x)


def static(default):
  """A field of a distribution that is no array: another value is another program."""
  return dataclasses.field(default=default, metadata={'static': True})


@distribution
class Bernoulli:
  """x in {0, 1}, or in [0, 1] as the cross-entropy of grey levels."""

  logits: jax.Array

  @property
  def mean(self):
    return jax.nn.sigmoid(self.logits)

  def sample(self, key):
    return jax.random.bernoulli(key, self.mean).astype(self.logits.dtype)

  def log_prob(self, x):
    return x * self.logits - softplus(self.logits)


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
class DiscretisedLogistic:
  """A logistic density gathered into `levels` equal bins that are centred on `low` ... `high`;
  the outer bins take the tails (PixelCNN++, arXiv:1701.05517, section 2.1)."""

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
    """The mean of the density with its tails moved onto `low` and `high`: that of the bins, but for
    rounding within one."""
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
    # cdf(upper) - cdf(lower) = cdf(upper) (1 - cdf(lower)) (1 - exp(lower - upper)): no difference
    # of near equals, so no bin is too far out.
    inner = below + above + jnp.log(-jnp.expm1(-2 * half))
    inner = jnp.where(x > self.high - self.width / 2, above, inner)
    return jnp.where(x < self.low + self.width / 2, below, inner)


@distribution
class Categorical:
  """One of `levels` equal steps from `low` to `high` per element; logits [..., levels]."""

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


def standard(shape, dtype=jnp.float32) -> Gaussian:
  """N(0, 1) in every element of `shape`."""
  return Gaussian(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))


def kl(q: Gaussian, p: Gaussian) -> jax.Array:
  """KL(q || p), element-wise, in nats (Kingma & Welling 2014, appendix B)."""
  ratio = q.log_scale - p.log_scale
  error = (q.mean - p.mean) * jnp.exp(-p.log_scale)
  return 0.5 * (jnp.exp(2 * ratio) + jnp.square(error) - 1) - ratio


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
