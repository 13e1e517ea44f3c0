"""Fully connected encoder and decoder for any image size."""

import math
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from vaejax.lookup import choice
from vaejax.nets.blocks import ACTIVATIONS, DTYPES, INITIAL, LECUN, NORMS, Norm, spectral


class Mlp(nn.Module):
  """[B, ...] -> [B, widths[-1]]: flattens the input; dense layers, each followed by a norm and an
  activation."""

  widths: tuple[int, ...]
  activation: str = 'relu'
  dtype: Any = jnp.float32
  norm: str = 'none'
  initial: Callable = LECUN

  @nn.compact
  def __call__(self, x, train=False):
    x = x.reshape(x.shape[0], -1)
    for width in self.widths:
      layer = nn.Dense(
        width, use_bias=self.norm != 'batch', dtype=self.dtype, kernel_init=self.initial
      )
      x = spectral(layer, self.norm, train)(x)
      x = ACTIVATIONS[self.activation](Norm(self.norm, self.dtype)(x, train))
    return x


class MlpDecoder(nn.Module):
  """[B, L] -> [B, *shape]: an Mlp followed by a linear layer."""

  shape: tuple[int, int, int]
  widths: tuple[int, ...]
  activation: str = 'relu'
  dtype: Any = jnp.float32
  norm: str = 'none'
  initial: Callable = LECUN

  @nn.compact
  def __call__(self, z, train=False):
    x = Mlp(self.widths, self.activation, self.dtype, self.norm, self.initial)(z, train)
    layer = nn.Dense(math.prod(self.shape), dtype=self.dtype, kernel_init=self.initial)
    return spectral(layer, self.norm, train)(x).reshape(-1, *self.shape)


def settings(model) -> dict[str, Any]:
  """The fields of dense layers from a config's `model`. Raises UserError."""
  return {
    'widths': tuple(model.widths),
    'activation': choice('model.activation', model.activation, {a: a for a in ACTIVATIONS}),
    'dtype': choice('model.dtype', model.dtype, DTYPES),
    'norm': choice('model.norm', model.norm, NORMS),
    'initial': initial(model),
  }


def initial(model) -> Callable:
  """The initialiser of the kernels of dense layers, from a config's `model`. Raises UserError."""
  # The default is for configs of runs from before the field existed, and of nets without it.
  return choice('model.initial', model.get('initial', 'lecun'), INITIAL)


def mirrored(model) -> dict[str, Any]:
  """The fields of a decoder: those of an encoder, with the widths in reverse."""
  return settings(model) | {'widths': tuple(model.widths)[::-1]}


def encoder(model, shape) -> nn.Module:
  """A net from images to vectors: widths, activation, norm and dtype of `model`."""
  return Mlp(**settings(model))


def decoder(model, shape) -> nn.Module:
  """The encoder in reverse, from vectors to images of shape (H, W, features)."""
  return MlpDecoder(shape, **mirrored(model))
