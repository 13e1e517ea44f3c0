"""Convolutional encoder and decoder: one stride-2 layer per entry of `channels`, then dense."""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from vaejax.errors import UserError
from vaejax.nets.blocks import ACTIVATIONS, DTYPES, NORMS, Convolution, Norm, choice
from vaejax.nets.mlp import Mlp


def sizes(shape, stages: int) -> list[tuple[int, int]]:
  """Height and width before each stride-2 stage and after the last: 28 -> 28, 14, 7, 4."""
  height, width = shape[:2]
  return [(-(-height // 2**i), -(-width // 2**i)) for i in range(stages + 1)]


class ConvEncoder(nn.Module):
  """[B, H, W, C] -> [B, F]."""

  channels: tuple[int, ...]
  kernel: int = 3
  widths: tuple[int, ...] = ()
  activation: str = 'relu'
  norm: str = 'none'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train=False):
    for channels in self.channels:
      # A bias right before BatchNorm has zero gradient, and Adam would amplify its noise.
      bias = self.norm != 'batch'
      x = Convolution(channels, self.kernel, 2, use_bias=bias, dtype=self.dtype)(x)
      x = ACTIVATIONS[self.activation](Norm(self.norm, self.dtype)(x, train))
    return Mlp(self.widths, self.activation, self.dtype)(x)


class ConvDecoder(nn.Module):
  """[B, L] -> [B, H, W, F]: the encoder's sizes in reverse, odd ones by cropping."""

  shape: tuple[int, int, int]
  channels: tuple[int, ...]
  kernel: int = 3
  widths: tuple[int, ...] = ()
  activation: str = 'relu'
  norm: str = 'none'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z, train=False):
    act = ACTIVATIONS[self.activation]
    *grow, (height, width) = sizes(self.shape, len(self.channels))
    x = Mlp((*self.widths, height * width * self.channels[0]), self.activation, self.dtype)(z)
    x = x.reshape(-1, height, width, self.channels[0])
    for i, (height, width) in enumerate(reversed(grow)):
      last = i == len(grow) - 1
      features = self.shape[-1] if last else self.channels[i + 1]
      bias = last or self.norm != 'batch'
      x = Convolution(features, self.kernel, 2, True, use_bias=bias, dtype=self.dtype)(x)
      x = x[:, :height, :width]
      if not last:
        x = act(Norm(self.norm, self.dtype)(x, train))
    return x


def settings(model, shape) -> dict[str, Any]:
  """The fields that a convolutional net takes from a config's `model`, checked against `shape`."""
  stages, smallest = len(model.channels), min(shape[:2])
  if stages < 1 or 2**stages > smallest:
    most = int(math.log2(smallest))
    raise UserError(
      f'model.channels={tuple(model.channels)} halves the image {stages} times: images of '
      f'{shape[0]}x{shape[1]} take 1 to {most} entries'
    )
  return {
    'channels': tuple(model.channels),
    'kernel': model.kernel,
    'widths': tuple(model.widths),
    'activation': choice('model.activation', model.activation, {a: a for a in ACTIVATIONS}),
    'norm': choice('model.norm', model.norm, NORMS),
    'dtype': choice('model.dtype', model.dtype, DTYPES),
  }


def encoder(model, shape) -> nn.Module:
  """The trunk that `model` (channels, kernel, widths, activation, norm, dtype) asks for."""
  return ConvEncoder(**settings(model, shape))


def decoder(model, shape) -> nn.Module:
  """Its mirror image, up to images of shape (H, W, features)."""
  fields = settings(model, shape)
  fields |= {'channels': fields['channels'][::-1], 'widths': fields['widths'][::-1]}
  return ConvDecoder(shape=shape, **fields)
