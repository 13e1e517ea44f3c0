"""Residual convolutional encoder and decoder with `blocks` residual blocks at every resolution."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from vaejax.nets import conv
from vaejax.nets.blocks import ACTIVATIONS, Convolution, Norm, spectral


class ResidualBlock(nn.Module):
  """x + f(x), [B, H, W, C] -> the same, where f is norm, activation and convolution, twice (He et
  al. 2016, arXiv:1603.05027, figure 1b)."""

  kernel: int
  activation: str
  norm: str
  dtype: Any

  @nn.compact
  def __call__(self, x, train=False):
    y = x
    # With BatchNorm no convolution has a bias, because it reaches the next norm through the sums.
    bias = self.norm != 'batch'
    for _ in range(2):
      y = ACTIVATIONS[self.activation](Norm(self.norm, self.dtype)(y, train))
      layer = Convolution(x.shape[-1], self.kernel, use_bias=bias, dtype=self.dtype)
      y = spectral(layer, self.norm, train)(y)
    return x + y


class ResnetEncoder(nn.Module):
  """[B, H, W, C] -> [B, h, w, channels[-1]]."""

  channels: tuple[int, ...]
  strides: tuple[int, ...]
  blocks: int = 1
  kernel: int = 3
  activation: str = 'relu'
  norm: str = 'group'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train=False):
    for channels, stride in zip(self.channels, self.strides, strict=True):
      bias = self.norm != 'batch'
      layer = Convolution(channels, self.kernel, stride, use_bias=bias, dtype=self.dtype)
      x = spectral(layer, self.norm, train)(x)
      for _ in range(self.blocks):
        x = ResidualBlock(self.kernel, self.activation, self.norm, self.dtype)(x, train)
    return ACTIVATIONS[self.activation](Norm(self.norm, self.dtype)(x, train))


class ResnetDecoder(nn.Module):
  """[B, *places] -> [B, *shape]."""

  shape: tuple[int, int, int]
  channels: tuple[int, ...]
  strides: tuple[int, ...]
  blocks: int = 1
  kernel: int = 3
  activation: str = 'relu'
  norm: str = 'group'
  dtype: Any = jnp.float32

  @property
  def places(self) -> tuple[int, int, int]:
    return *conv.sizes(self.shape, self.strides)[0], self.channels[0]

  @nn.compact
  def __call__(self, x, train=False):
    outputs = *self.channels[1:], self.shape[-1]
    sizes = conv.sizes(self.shape, self.strides)[1:]
    layers = zip(outputs, self.strides, sizes, strict=True)
    for i, (features, stride, (height, width)) in enumerate(layers):
      for _ in range(self.blocks):
        x = ResidualBlock(self.kernel, self.activation, self.norm, self.dtype)(x, train)
      last = i == len(sizes) - 1
      x = ACTIVATIONS[self.activation](Norm(self.norm, self.dtype)(x, train)) if last else x
      bias = last or self.norm != 'batch'
      layer = Convolution(features, self.kernel, stride, True, bias, self.dtype)
      x = spectral(layer, self.norm, train)(x)
      x = x[:, :height, :width]
    return x


def encoder(model, shape) -> nn.Module:
  """The body of an encoder: the fields of `model` for a conv net, and `blocks`."""
  return ResnetEncoder(blocks=model.blocks, **conv.settings(model, shape))


def decoder(model, shape) -> nn.Module:
  """The body of a decoder, the encoder in reverse, up to images of shape (H, W, features)."""
  return ResnetDecoder(shape=shape, blocks=model.blocks, **conv.mirrored(model, shape))
