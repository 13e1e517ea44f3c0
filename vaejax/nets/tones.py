"""Histograms of the values of a channel, and curves that change them.

Both divide a range by `count` evenly spaced knots and interpolate linearly: a value 0.3 knots above
a knot counts as 0.7 of that knot and 0.3 of the next. They are transposes of each other, and their
cost does not depend on the number of knots. Values outside the range are clipped.
"""

import jax
import jax.numpy as jnp


def histogram(x: jax.Array, count: int, low: float, high: float) -> jax.Array:
  """The proportion of pixels at each knot, [B, H, W, C] -> [B, C, count]. They sum to 1."""

  def of_channel(knot, part):
    counts = jnp.zeros(count).at[knot].add(1 - part).at[knot + 1].add(part)
    return counts / knot.shape[0]

  return jax.vmap(jax.vmap(of_channel))(*nearest_knots(x, count, low, high))


def curve(x: jax.Array, values: jax.Array, low: float, high: float) -> jax.Array:
  """The piecewise linear function with `values` [B, C, count] at the knots, applied to each channel
  of x [B, H, W, C]."""
  knot, part = nearest_knots(x, values.shape[-1], low, high)
  at = lambda knot: jnp.take_along_axis(values, knot, axis=-1)
  y = (1 - part) * at(knot) + part * at(knot + 1)
  return jnp.swapaxes(y, 1, 2).reshape(x.shape)


def nearest_knots(x: jax.Array, count: int, low: float, high: float) -> tuple[jax.Array, jax.Array]:
  """The knot below each value, at most count - 2, and the distance above it in knots, 0 to 1:
  [B, H, W, C] -> [B, C, H*W] each."""
  flat = jnp.swapaxes(x.reshape(x.shape[0], -1, x.shape[-1]), 1, 2).astype(jnp.float32)
  position = jnp.clip((flat - low) / (high - low), 0, 1) * (count - 1)
  knot = jnp.clip(jnp.floor(position).astype(jnp.int32), 0, count - 2)
  return knot, position - knot
