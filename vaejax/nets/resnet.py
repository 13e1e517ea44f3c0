"""Residual convolutional encoder and decoder: `blocks` residual blocks at every resolution."""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from vaejax.nets import conv
from vaejax.nets.blocks import ACTIVATIONS, Convolution, Norm, spectral
from vaejax.nets.mlp import Mlp


class ResidualBlock(nn.Module):
  """[B, H, W, C] -> [B, H, W, C]: norm, activation, convolution, twice, added to the input
  (He et al. 2016, arXiv:1603.05027, figure 1b)."""

  kernel: int
  activation: str
  norm: str
  dtype: Any

  @nn.compact
  def __call__(self, x, train=False):
    y = x
    # With BatchNorm no convolution has a bias: through the sums, one meets the next norm unchanged.
    bias = self.norm != 'batch'
    for _ in range(2):
      y = ACTIVATIONS[self.activation](Norm(self.norm, self.dtype)(y, train))
      layer = Convolution(x.shape[-1], self.kernel, use_bias=bias, dtype=self.dtype)
      y = spectral(layer, self.norm, train)(y)
    return x + y


class ResnetEncoder(nn.Module):
  """[B, H, W, C] -> [B, F]."""

  channels: tuple[int, ...]
  strides: tuple[int, ...]
  blocks: int = 1
  kernel: int = 3
  widths: tuple[int, ...] = ()
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
    x = ACTIVATIONS[self.activation](Norm(self.norm, self.dtype)(x, train))
    return Mlp(self.widths, self.activation, self.dtype, conv.dense(self.norm))(x, train)


class ResnetDecoder(nn.Module):
  """[B, L] -> [B, H, W, F]."""

  shape: tuple[int, int, int]
  channels: tuple[int, ...]
  strides: tuple[int, ...]
  blocks: int = 1
  kernel: int = 3
  widths: tuple[int, ...] = ()
  activation: str = 'relu'
  norm: str = 'group'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, z, train=False):
    act = ACTIVATIONS[self.activation]
    *grow, (height, width) = conv.sizes(self.shape, self.strides[::-1])
    x = Mlp(self.widths, self.activation, self.dtype, conv.dense(self.norm))(z, train)
    layer = nn.Dense(height * width * self.channels[0], dtype=self.dtype)
    x = spectral(layer, self.norm, train)(x)
    x = x.reshape(-1, height, width, self.channels[0])
    for i, (height, width) in enumerate(reversed(grow)):
      for _ in range(self.blocks):
        x = ResidualBlock(self.kernel, self.activation, self.norm, self.dtype)(x, train)
      last = i == len(grow) - 1
      x = act(Norm(self.norm, self.dtype)(x, train)) if last else x
      features = self.shape[-1] if last else self.channels[i + 1]
      bias = last or self.norm != 'batch'
      layer = Convolution(features, self.kernel, self.strides[i], True, bias, self.dtype)
      x = spectral(layer, self.norm, train)(x)
      x = x[:, :height, :width]
    return x


def encoder(model, shape) -> nn.Module:
  """The trunk that `model` asks for: the fields of a conv net, and `blocks`."""
  return ResnetEncoder(blocks=model.blocks, **conv.settings(model, shape))


def decoder(model, shape) -> nn.Module:
  """Its mirror image, up to images of shape (H, W, features)."""
  return ResnetDecoder(shape=shape, blocks=model.blocks, **conv.mirrored(model, shape))
