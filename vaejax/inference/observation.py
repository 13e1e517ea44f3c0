"""What was observed of an image: seen elements, or the result of a known degradation."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vaejax.distributions import Gaussian, per_example
from vaejax.errors import UserError
from vaejax.types import Batch, Latent, Variables


class Observation(NamedTuple):
  """How observations of a kind relate to x, in the data's own range.

  `seen` is a Batch of what was observed of B examples.

  Attributes:
    log_prob: (p(x|z), seen) -> the log-likelihood of what was seen in nats, [B].
    impose: (x, seen) -> x, changed so that it agrees with what was seen; None if that has noise.
    expected: (mean of p(x|z), seen) -> the mean of x given z and what was seen.
    start: seen -> a first guess of x, [B, H, W, C].
  """

  log_prob: Callable[..., jax.Array]
  impose: Callable[[jax.Array, Batch], jax.Array] | None
  expected: Callable[[jax.Array, Batch], jax.Array]
  start: Callable[[Batch], jax.Array]


def masked() -> Observation:
  """The observation of some elements: `seen` has 'image' [B, H, W, C], whose other elements are
  ignored but for the first guess, and 'seen' [B, H, W, 1], which is 1 or 0.

  The likelihood is exact, because p(x|z) factorises over elements.
  """

  def log_prob(p, seen: Batch):
    image = seen['image']
    values = p.log_prob(image)
    if values.shape != image.shape:  # [B] would be broadcast against the mask
      raise UserError(
        'a part of a picture has no likelihood under this run, because its p(x|z) does not '
        'factorise over pixels. Use another run'
      )
    return per_example(jnp.where(seen['seen'] > 0, values, 0.0))

  def impose(x, seen: Batch):
    return jnp.where(seen['seen'] > 0, seen['image'], x)

  return Observation(log_prob, impose, impose, lambda seen: seen['image'])


def degraded(
  degrade: Callable[[jax.Array], jax.Array],
  lift: Callable[[jax.Array], jax.Array],
  start: Callable[[jax.Array], jax.Array],
) -> Observation:
  """The observation y = A x: `seen` has 'source' y [B, h, w, c] and its 'scale' [B].

  The likelihood is a Gaussian around A m with this scale, where m is the mean of p(x|z).

  Args:
    degrade: x -> A x, linear up to a constant.
    lift: a linear map with A lift(r) = r.
    start: y -> a first guess of x.
  """

  def impose(x, seen: Batch):
    return x + lift(seen['source'] - degrade(x))

  log_prob = lambda p, seen: gaussian(degrade(p.mean), seen)
  return Observation(log_prob, impose, impose, lambda seen: start(seen['source']))


def noisy() -> Observation:
  """The observation y = x + noise: `seen` has 'source' y [B, H, W, C], the 'scale' [B] of y given
  z, and 'gain' [B], the share of its variance that p(x|z) has, and not the noise."""

  def expected(mean, seen: Batch):
    gain = seen['gain'].reshape(-1, *[1] * (mean.ndim - 1))
    return mean + gain * (seen['source'] - mean)

  log_prob = lambda p, seen: gaussian(p.mean, seen)
  return Observation(log_prob, None, expected, lambda seen: seen['source'])


def gaussian(mean: jax.Array, seen: Batch) -> jax.Array:
  """The log density of seen['source'] around a mean with seen['scale'], [B]."""
  scale = seen['scale'].reshape(-1, *[1] * (mean.ndim - 1))
  log_scale = jnp.broadcast_to(jnp.log(scale), mean.shape)
  return per_example(Gaussian(mean, log_scale).log_prob(seen['source']))


def residual_scale(
  model: Latent, v: Variables, batch: Batch, degrade: Callable[[jax.Array], jax.Array]
) -> jax.Array:
  """The root mean square of A x - A m over the elements of a batch, where m is the reconstruction
  of x: how far from A x even a good z is, in the data's own range."""
  q, _ = model.posterior(v, batch)
  given = {name: batch[name] for name in model.conditions}
  p, _ = model.likelihood(v, q.mean, given)
  return jnp.sqrt(jnp.mean(jnp.square(degrade(batch[model.data]) - degrade(p.mean))))


def repeat(tree: Mapping, n: int):
  """n copies of one example, a tree of arrays [...] -> [n, ...]."""
  return jax.tree.map(lambda x: jnp.broadcast_to(x, (n, *jnp.shape(x))), tree)
