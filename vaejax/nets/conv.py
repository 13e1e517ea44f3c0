"""Convolutional encoder and decoder: one layer per entry of `channels`, then dense."""

import math
from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.nets.blocks import ACTIVATIONS, DTYPES, NORMS, Convolution, Norm, spectral
from vaejax.nets.mlp import Mlp


def sizes(shape, strides) -> list[tuple[int, int]]:
  """Height and width before each layer and after the last: 28 -> 28, 14, 7, 4 by strides of 2."""
  found = [tuple(shape[:2])]
  for stride in strides:
    found.append(tuple(-(-side // stride) for side in found[-1]))
  return found


def dense(norm: str) -> str:
  """The norm of a convolutional net's dense layers: of the kinds, only the spectral is theirs."""
  return norm if norm == 'spectral' else 'none'


class ConvEncoder(nn.Module):
  """[B, H, W, C] -> [B, F]."""

  channels: tuple[int, ...]
  strides: tuple[int, ...]
  kernel: int = 3
  widths: tuple[int, ...] = ()
  activation: str = 'relu'
  norm: str = 'none'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train=False):
    for channels, stride in zip(self.channels, self.strides, strict=True):
      # A bias right before BatchNorm has zero gradient, and Adam would amplify its noise.
      bias = self.norm != 'batch'
      layer = Convolution(channels, self.kernel, stride, use_bias=bias, dtype=self.dtype)
      x = spectral(layer, self.norm, train)(x)
      x = ACTIVATIONS[self.activation](Norm(self.norm, self.dtype)(x, train))
    return Mlp(self.widths, self.activation, self.dtype, dense(self.norm))(x, train)


class ConvDecoder(nn.Module):
  """[B, L] -> [B, H, W, F]: layers in the order of `channels`, each from that many channels, grown
  by its stride to the sizes that an encoder of these strides in reverse would pass, by cropping."""

  shape: tuple[int, int, int]
  channels: tuple[int, ...]
  strides: tuple[int, ...]
  kernel: int = 3
  widths: tuple[int, ...] = ()
  activation: str = 'relu'
  norm: str = 'none'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z, train=False):
    act = ACTIVATIONS[self.activation]
    *grow, (height, width) = sizes(self.shape, self.strides[::-1])
    widths = *self.widths, height * width * self.channels[0]
    x = Mlp(widths, self.activation, self.dtype, dense(self.norm))(z, train)
    x = x.reshape(-1, height, width, self.channels[0])
    for i, (height, width) in enumerate(reversed(grow)):
      last = i == len(grow) - 1
      features = self.shape[-1] if last else self.channels[i + 1]
      bias = last or self.norm != 'batch'
      layer = Convolution(features, self.kernel, self.strides[i], True, bias, self.dtype)
      x = spectral(layer, self.norm, train)(x)
      x = x[:, :height, :width]
      if not last:
        x = act(Norm(self.norm, self.dtype)(x, train))
    return x


def settings(model, shape) -> dict[str, Any]:
  """The fields that a convolutional net takes from a config's `model`, checked against `shape`."""
  strides = tuple(model.strides) or (2,) * len(model.channels)
  if len(strides) != len(model.channels) or not strides:
    raise UserError(
      f'model.strides={strides} and model.channels={tuple(model.channels)}: it takes one stride '
      'for each entry of channels, at least one, or () for strides of 2'
    )
  shrink, smallest = math.prod(strides), min(shape[:2])
  if shrink > smallest:
    raise UserError(
      f'model.channels={tuple(model.channels)} shrinks the image {shrink} times, which images of '
      f'{shape[0]}x{shape[1]} are too small for: give fewer entries, or model.strides'
    )
  return {
    'channels': tuple(model.channels),
    'strides': strides,
    'kernel': model.kernel,
    'widths': tuple(model.widths),
    'activation': choice('model.activation', model.activation, {a: a for a in ACTIVATIONS}),
    'norm': choice('model.norm', model.norm, NORMS),
    'dtype': choice('model.dtype', model.dtype, DTYPES),
  }


def mirrored(model, shape) -> dict[str, Any]:
  """The same fields for the decoder."""
  fields = settings(model, shape)
  return fields | {name: fields[name][::-1] for name in ('channels', 'strides', 'widths')}


def encoder(model, shape) -> nn.Module:
  """The trunk of `model`: channels, strides, kernel, widths, activation, norm and dtype."""
  return ConvEncoder(**settings(model, shape))


def decoder(model, shape) -> nn.Module:
  """Its mirror image, up to images of shape (H, W, features)."""
  return ConvDecoder(shape=shape, **mirrored(model, shape))
