"""Tones, the values that a channel takes: how many places have which, and curves that change them.

Both see a range of values at `count` evenly spaced knots and are linear between two of them, as a
value of 0.3 knots past one is to 0.7 that knot's. They are each other's transposes, and both take
time by the value and not by the knot. What is out of the range is taken for its nearer end.
"""

import jax
import jax.numpy as jnp


def histogram(x: jax.Array, count: int, low: float, high: float) -> jax.Array:
  """[B, H, W, C] -> [B, C, count]: the share of the places that is each knot's; they sum to 1."""

  def of_channel(knot, part):
    shares = jnp.zeros(count).at[knot].add(1 - part).at[knot + 1].add(part)
    return shares / knot.shape[0]

  return jax.vmap(jax.vmap(of_channel))(*places(x, count, low, high))


def curve(x: jax.Array, values: jax.Array, low: float, high: float) -> jax.Array:
  """[B, H, W, C], values at the knots [B, C, count] -> [B, H, W, C]: those at the tones of x."""
  knot, part = places(x, values.shape[-1], low, high)
  at = lambda knot: jnp.take_along_axis(values, knot, axis=-1)
  y = (1 - part) * at(knot) + part * at(knot + 1)
  return jnp.swapaxes(y, 1, 2).reshape(x.shape)


def places(x: jax.Array, count: int, low: float, high: float) -> tuple[jax.Array, jax.Array]:
  """[B, H, W, C] -> for each channel's places [B, C, H*W] the knot below, at most count - 2, and
  how far above it they are, in knots: 0 to 1."""
  flat = jnp.swapaxes(x.reshape(x.shape[0], -1, x.shape[-1]), 1, 2).astype(jnp.float32)
  place = jnp.clip((flat - low) / (high - low), 0, 1) * (count - 1)
  knot = jnp.clip(jnp.floor(place).astype(jnp.int32), 0, count - 2)
  return knot, place - knot
