"""Convolutional encoder and decoder with one layer per entry of `channels`."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.nets.blocks import ACTIVATIONS, CENTRED, DTYPES, NORMS, Convolution, Norm, spectral


class ConvLayers(nn.Module):
  """Convolutions, each with a norm and an activation: [B, H, W, C] -> [B, h, w, channels[-1]].

  Attributes:
    channels, strides: one entry for each layer.
    kernel: the kernel size of all layers, or a tuple with one for each layer.
    norm: a kind (see blocks.Norm), or a function that creates a module of (x, train, *condition).
    sizes: height and width after each layer. If given, the convolutions are transposed and their
      outputs are cropped to these.
  """

  channels: tuple[int, ...]
  strides: tuple[int, ...]
  kernel: int | tuple[int, ...] = 3
  activation: str = 'relu'
  norm: str | Callable[[], nn.Module] = 'none'
  dtype: Any = jnp.float32
  sizes: tuple[tuple[int, int], ...] = ()

  def __call__(self, x, train=False, *condition):
    return self.maps(x, train, *condition)[-1]

  @nn.compact
  def maps(self, x, train=False, *condition) -> list[jax.Array]:
    """x, followed by the output of every layer."""
    outputs = [x]
    kernels = self.kernel if isinstance(self.kernel, tuple) else (self.kernel,) * len(self.channels)
    layers = zip(self.channels, self.strides, kernels, strict=True)
    for i, (channels, stride, kernel) in enumerate(layers):
      bias = self.norm not in CENTRED
      layer = Convolution(channels, kernel, stride, bool(self.sizes), bias, self.dtype)
      x = spectral(layer, self.norm, train)(x)
      if self.sizes:
        height, width = self.sizes[i]
        x = x[:, :height, :width]
      norm = self.norm() if callable(self.norm) else Norm(self.norm, self.dtype)
      x = ACTIVATIONS[self.activation](norm(x, train, *condition))
      outputs.append(x)
    return outputs


class ConvDecoder(nn.Module):
  """[B, *places] -> [B, *shape]: transposed convolutions with the input `channels` and the strides.
  The sizes between them are those of an encoder with the strides in reverse."""

  shape: tuple[int, int, int]
  channels: tuple[int, ...]
  strides: tuple[int, ...]
  kernel: int = 3
  activation: str = 'relu'
  norm: str = 'none'
  dtype: Any = jnp.float32

  @property
  def places(self) -> tuple[int, int, int]:
    return *sizes(self.shape, self.strides)[0], self.channels[0]

  @nn.compact
  def __call__(self, x, train=False):
    *inner, (height, width) = sizes(self.shape, self.strides)[1:]
    fields = self.kernel, self.activation, self.norm, self.dtype
    x = ACTIVATIONS[self.activation](x)
    x = ConvLayers(self.channels[1:], self.strides[:-1], *fields, tuple(inner))(x, train)
    last = Convolution(self.shape[-1], self.kernel, self.strides[-1], True, dtype=self.dtype)
    return spectral(last, self.norm, train)(x)[:, :height, :width]


def sizes(shape, strides) -> list[tuple[int, int]]:
  """Height and width before each layer of a decoder, and after the last. They are computed
  backwards from those of `shape`: 4, 7, 14, 28 with strides of 2."""
  result = [tuple(shape[:2])]
  for stride in reversed(strides):
    result.insert(0, tuple(-(-side // stride) for side in result[0]))
  return result


def settings(model, shape) -> dict[str, Any]:
  """The fields of a convolutional encoder from a config's `model`. Raises UserError if they do not
  fit images of `shape`."""
  strides = tuple(model.strides) or (2,) * len(model.channels)
  if len(strides) != len(model.channels) or not strides:
    raise UserError(
      f'model.strides={strides} does not fit model.channels={tuple(model.channels)}. Give at least '
      'one channel, and one stride for each entry of channels or () for strides of 2'
    )
  shrink, smallest = math.prod(strides), min(shape[:2])
  if shrink > smallest:
    raise UserError(
      f'model.channels={tuple(model.channels)} with model.strides={strides} reduces the image size '
      f'by {shrink}, but images of {shape[0]}x{shape[1]} are too small for that. Give fewer '
      'channels or smaller strides'
    )
  return {
    'channels': tuple(model.channels),
    'strides': strides,
    'kernel': model.kernel,
    'activation': choice('model.activation', model.activation, {a: a for a in ACTIVATIONS}),
    'norm': choice('model.norm', model.norm, NORMS),
    'dtype': choice('model.dtype', model.dtype, DTYPES),
  }


def mirrored(model, shape) -> dict[str, Any]:
  """The fields of the decoder: those of the encoder, with channels and strides in reverse."""
  fields = settings(model, shape)
  return fields | {name: fields[name][::-1] for name in ('channels', 'strides')}


def encoder(model, shape) -> nn.Module:
  """The body of an encoder: channels, strides, kernel, activation, norm and dtype of `model`."""
  return ConvLayers(**settings(model, shape))


def decoder(model, shape) -> nn.Module:
  """The body of a decoder, the encoder in reverse, up to images of shape (H, W, features)."""
  return ConvDecoder(shape=shape, **mirrored(model, shape))
