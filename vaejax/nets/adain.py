"""Statistics over places, and layers that set them: adaptive instance normalisation (Huang &
Belongie 2017, arXiv:1703.06868) and feature-wise modulation (Perez et al. 2018, arXiv:1709.07871).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

EPSILON = 1e-4  # added to variances: what is flat stays flat


def statistics(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Mean and standard deviation over places, of each channel: [B, H, W, C] -> [B, C] twice."""
  flat = x.reshape(x.shape[0], -1, x.shape[-1])
  # As a product: see distributions.per_example.
  share = jnp.full(flat.shape[1], 1 / flat.shape[1], x.dtype)
  over = lambda values: jnp.einsum('n,bnc->bc', share, values, precision='highest')
  mean = over(flat)
  return mean, jnp.sqrt(over(jnp.square(flat - mean[:, None])) + EPSILON)


def normalise(x: jax.Array) -> jax.Array:
  """(x - mean) / standard deviation, of each image's channels: [B, H, W, C] -> the same."""
  mean, deviation = statistics(x)
  return (x - mean[:, None, None]) / deviation[:, None, None]


def adain(x: jax.Array, mean: jax.Array, deviation: jax.Array) -> jax.Array:
  """x [B, H, W, C] with another mean and standard deviation [B, C] of its channels (equation 8)."""
  return deviation[:, None, None] * normalise(x) + mean[:, None, None]


class AdaIN(nn.Module):
  """x [B, H, W, C], style features [B, F] -> [B, H, W, C]: they decide mean and deviation."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train, style):
    mean, scale = jnp.split(nn.Dense(2 * x.shape[-1], dtype=self.dtype)(style), 2, axis=-1)
    return adain(x, mean, 1 + scale)


class FiLM(nn.Module):
  """x [B, H, W, C], features [B, F] -> [B, H, W, C]: they scale and shift its channels."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, features):
    scale, shift = jnp.split(nn.Dense(2 * x.shape[-1], dtype=self.dtype)(features), 2, axis=-1)
    return (1 + scale[:, None, None]) * x + shift[:, None, None]


class Excitation(nn.Module):
  """Scales and shifts maps [B, H, W, C] by their own statistics (squeeze and excitation, Hu et al.
  2018, arXiv:1709.01507, with deviations and shifts too). `read` makes the net that reads them."""

  read: Callable[[], nn.Module]

  @nn.compact
  def __call__(self, x, train=False):
    whole = jnp.concatenate(statistics(x), axis=-1)
    return FiLM(x.dtype)(x, self.read()(whole, train))
