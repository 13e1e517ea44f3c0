"""Fully connected encoder and decoder: any widths, any image size."""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from vaejax.lookup import choice
from vaejax.nets.blocks import ACTIVATIONS, DTYPES, NORMS, Norm, spectral


class Mlp(nn.Module):
  """[B, ...] -> [B, widths[-1]]: dense layers, each with a norm and an activation after it, the
  input flattened."""

  widths: tuple[int, ...]
  activation: str = 'relu'
  dtype: Any = jnp.float32
  norm: str = 'none'

  @nn.compact
  def __call__(self, x, train=False):
    x = x.reshape(x.shape[0], -1)
    for width in self.widths:
      layer = nn.Dense(width, use_bias=self.norm != 'batch', dtype=self.dtype)
      x = spectral(layer, self.norm, train)(x)
      x = ACTIVATIONS[self.activation](Norm(self.norm, self.dtype)(x, train))
    return x


class MlpDecoder(nn.Module):
  """[B, L] -> [B, *shape]: the same, and one linear layer more."""

  shape: tuple[int, int, int]
  widths: tuple[int, ...]
  activation: str = 'relu'
  dtype: Any = jnp.float32
  norm: str = 'none'

  @nn.compact
  def __call__(self, z, train=False):
    x = Mlp(self.widths, self.activation, self.dtype, self.norm)(z, train)
    layer = nn.Dense(math.prod(self.shape), dtype=self.dtype)
    return spectral(layer, self.norm, train)(x).reshape(-1, *self.shape)


def settings(model) -> dict[str, Any]:
  """The fields that dense layers take from a config's `model`, checked."""
  return {
    'widths': tuple(model.widths),
    'activation': choice('model.activation', model.activation, {a: a for a in ACTIVATIONS}),
    'dtype': choice('model.dtype', model.dtype, DTYPES),
    'norm': choice('model.norm', model.norm, NORMS),
  }


def mirrored(model) -> dict[str, Any]:
  """The same fields for a decoder."""
  return settings(model) | {'widths': tuple(model.widths)[::-1]}


def encoder(model, shape) -> nn.Module:
  """A net of `model` without places: widths, activation, norm and dtype, for any image shape."""
  return Mlp(**settings(model))


def decoder(model, shape) -> nn.Module:
  """Its mirror image, up to images of shape (H, W, features)."""
  return MlpDecoder(shape, **mirrored(model))
