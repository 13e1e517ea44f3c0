"""Channel statistics over positions, and layers that set them: adaptive instance normalisation
(Huang & Belongie 2017, arXiv:1703.06868) and feature-wise modulation (Perez et al. 2018,
arXiv:1709.07871)."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

EPSILON = 1e-4  # added to variances, so that a constant channel stays constant


def statistics(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Mean and standard deviation of each channel over positions: [B, H, W, C] -> two [B, C]."""
  flat = x.reshape(x.shape[0], -1, x.shape[-1])
  # A matrix product is faster than a mean, see distributions.per_example.
  weights = jnp.full(flat.shape[1], 1 / flat.shape[1], x.dtype)
  average = lambda values: jnp.einsum('n,bnc->bc', weights, values, precision='highest')
  mean = average(flat)
  return mean, jnp.sqrt(average(jnp.square(flat - mean[:, None])) + EPSILON)


def normalise(x: jax.Array) -> jax.Array:
  """(x - mean) / standard deviation for each channel of each image: [B, H, W, C] -> the same."""
  mean, deviation = statistics(x)
  return (x - mean[:, None, None]) / deviation[:, None, None]


def adain(x: jax.Array, mean: jax.Array, deviation: jax.Array) -> jax.Array:
  """x [B, H, W, C] with the mean and standard deviation [B, C] of its channels replaced (equation
  8)."""
  return deviation[:, None, None] * normalise(x) + mean[:, None, None]


class AdaIN(nn.Module):
  """x [B, H, W, C] with channel statistics predicted from style features [B, F]."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train, style):
    mean, scale = jnp.split(nn.Dense(2 * x.shape[-1], dtype=self.dtype)(style), 2, axis=-1)
    return adain(x, mean, 1 + scale)


class FiLM(nn.Module):
  """x [B, H, W, C] with its channels scaled and shifted by values predicted from features [B,
  F]. `initial` is the initialiser of the kernel that predicts them."""

  dtype: Any = jnp.float32
  initial: Callable = nn.initializers.lecun_normal()

  @nn.compact
  def __call__(self, x, features):
    layer = nn.Dense(2 * x.shape[-1], dtype=self.dtype, kernel_init=self.initial)
    scale, shift = jnp.split(layer(features), 2, axis=-1)
    return (1 + scale[:, None, None]) * x + shift[:, None, None]


class Excitation(nn.Module):
  """Scales and shifts the channels of x [B, H, W, C] depending on their statistics.

  This is squeeze and excitation (Hu et al. 2018, arXiv:1709.01507), with standard deviations as
  inputs and shifts as outputs too. `read` creates the net that maps the statistics to features.
  """

  read: Callable[[], nn.Module]

  @nn.compact
  def __call__(self, x, train=False):
    values = jnp.concatenate(statistics(x), axis=-1)
    return FiLM(x.dtype)(x, self.read()(values, train))
