"""Squares of pixels as features, and back."""

import jax


def to_depth(x: jax.Array, size: int) -> jax.Array:
  """[B, H, W, C] -> [B, H / size, W / size, size² C]: squares of pixels as features."""
  batch, height, width, channels = x.shape
  x = x.reshape(batch, height // size, size, width // size, size, channels)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // size, width // size, -1)


def from_depth(x: jax.Array, size: int) -> jax.Array:
  """The inverse of `to_depth` (pixel shuffle, Shi et al. 2016, arXiv:1609.05158)."""
  batch, height, width, channels = x.shape
  x = x.reshape(batch, height, width, size, size, channels // size**2)
  return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height * size, width * size, -1)
