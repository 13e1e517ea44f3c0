"""Fully connected encoder and decoder: any widths, any image size."""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from vaejax.lookup import choice
from vaejax.nets.blocks import ACTIVATIONS, DTYPES


class Mlp(nn.Module):
  """[B, ...] -> [B, widths[-1]]: dense layers with an activation after each, input flattened."""

  widths: tuple[int, ...]
  activation: str = 'relu'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train=False):
    x = x.reshape(x.shape[0], -1)
    for width in self.widths:
      x = ACTIVATIONS[self.activation](nn.Dense(width, dtype=self.dtype)(x))
    return x


class MlpDecoder(nn.Module):
  """[B, L] -> [B, H, W, F]."""

  shape: tuple[int, int, int]
  widths: tuple[int, ...]
  activation: str = 'relu'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z, train=False):
    x = Mlp(self.widths, self.activation, self.dtype)(z)
    return nn.Dense(math.prod(self.shape), dtype=self.dtype)(x).reshape(-1, *self.shape)


def encoder(model, shape) -> nn.Module:
  """The trunk that `model` (net='mlp', widths, activation, dtype) asks for, for any image shape."""
  choice('model.activation', model.activation, ACTIVATIONS)
  dtype = choice('model.dtype', model.dtype, DTYPES)
  return Mlp(tuple(model.widths), model.activation, dtype)


def decoder(model, shape) -> nn.Module:
  """Its mirror image, up to images of shape (H, W, features)."""
  mirror = encoder(model, shape)
  return MlpDecoder(shape, mirror.widths[::-1], mirror.activation, mirror.dtype)
