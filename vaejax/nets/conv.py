"""Convolutional encoder and decoder: one layer per entry of `channels`."""

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
  """[B, H, W, C] -> [B, h, w, channels[-1]]: convolutions, each with a norm and an activation.

  Attributes:
    channels, strides: one of each layer.
    kernel: of every layer, or a tuple with one of each.
    norm: a kind (see blocks.Norm), or what makes a module of (x, train, *condition).
    sizes: height and width after each layer, if they are to grow: the convolutions are transposed
      then, and their outputs cropped.
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
    """x, and the output of every layer."""
    found = [x]
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
      found.append(x)
    return found


class ConvDecoder(nn.Module):
  """[B, *places] -> [B, *shape]: layers from so many `channels` each, grown by their strides to the
  sizes that an encoder of these strides in reverse would pass."""

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
    *grown, (height, width) = sizes(self.shape, self.strides)[1:]
    same = self.kernel, self.activation, self.norm, self.dtype
    x = ACTIVATIONS[self.activation](x)
    x = ConvLayers(self.channels[1:], self.strides[:-1], *same, tuple(grown))(x, train)
    last = Convolution(self.shape[-1], self.kernel, self.strides[-1], True, dtype=self.dtype)
    return spectral(last, self.norm, train)(x)[:, :height, :width]


def sizes(shape, strides) -> list[tuple[int, int]]:
  """Height and width before each layer of a decoder and after its last, that of `shape`, from which
  they are counted back: 4, 7, 14, 28 by strides of 2."""
  found = [tuple(shape[:2])]
  for stride in reversed(strides):
    found.insert(0, tuple(-(-side // stride) for side in found[0]))
  return found


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
    'activation': choice('model.activation', model.activation, {a: a for a in ACTIVATIONS}),
    'norm': choice('model.norm', model.norm, NORMS),
    'dtype': choice('model.dtype', model.dtype, DTYPES),
  }


def mirrored(model, shape) -> dict[str, Any]:
  """The same fields for the decoder."""
  fields = settings(model, shape)
  return fields | {name: fields[name][::-1] for name in ('channels', 'strides')}


def encoder(model, shape) -> nn.Module:
  """The body that `model` asks for: channels, strides, kernel, activation, norm and dtype."""
  return ConvLayers(**settings(model, shape))


def decoder(model, shape) -> nn.Module:
  """Its mirror image, up to images of shape (H, W, features)."""
  return ConvDecoder(shape=shape, **mirrored(model, shape))
