"""Similarity of a region of two images: peak signal-to-noise ratio and structural similarity."""

import jax
import jax.numpy as jnp

from vaejax.metrics.similarity import WINDOW, ssim_of_windows

# Lower limit of the mean squared error, so that PSNR is at most 40 dB: a fill can be exact, and a
# few such pictures would outweigh all others in a mean.
MIN_ERROR = 1e-4


def mean_in(values: jax.Array, region: jax.Array) -> jax.Array:
  """The mean over the elements in a region, of values [..., H, W, C] and a region [..., H, W, 1] of
  ones and zeros -> [...]; NaN if it is empty."""
  region = jnp.broadcast_to(region, values.shape)
  total = jnp.sum(jnp.where(region > 0, values, 0.0), axis=(-3, -2, -1))
  return total / jnp.sum(region, axis=(-3, -2, -1))


def psnr(x: jax.Array, y: jax.Array, region: jax.Array) -> jax.Array:
  """Peak signal-to-noise ratio in dB of a region of images in [0, 1]; at most 40, NaN if the
  region is empty.

  Args:
    x, y: [..., H, W, C].
    region: [..., H, W, 1], 1 inside it and 0 elsewhere.

  Returns:
    [...].
  """
  error = mean_in(jnp.square(x - y), region)
  return -10 * jnp.log10(jnp.maximum(error, MIN_ERROR))


def ssim(x: jax.Array, y: jax.Array, region: jax.Array) -> jax.Array:
  """Structural similarity of a region of images in [0, 1], as metrics.similarity.ssim: the mean
  over the 7x7 windows whose centre is in the region, [...]; NaN if there are none."""
  edge = WINDOW // 2
  centres = region[..., edge:-edge, edge:-edge, :]
  return mean_in(ssim_of_windows(x, y), centres)
