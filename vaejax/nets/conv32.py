"""The source's convolutional VAE for 32x32 photographs, layer for layer
(`configs/source.py:conv32`)."""

import jax.numpy as jnp
from flax import linen as nn

from vaejax.errors import UserError
from vaejax.nets.blocks import ACTIVATIONS, Convolution

leaky_relu = ACTIVATIONS['leaky_relu']


class Conv32Encoder(nn.Module):
  """[B, 32, 32, C] -> [B, 8, 8, 8]: 3x3 16 and 3x3 8, both with stride 2 and leaky-relu."""

  @nn.compact
  def __call__(self, x, train=False):
    for channels in (16, 8):
      x = leaky_relu(Convolution(channels, stride=2)(x))
    return x


class Conv32Decoder(nn.Module):
  """[B, 8, 8, 32] -> [B, 32, 32, F] in (-1, 1): relu, transposed 3x3 16 with stride 2, BatchNorm,
  leaky-relu, transposed 3x3 F with stride 2, tanh."""

  features: int
  places = 8, 8, 32

  @nn.compact
  def __call__(self, x, train=False):
    # No bias before BatchNorm: it would have no gradient but noise.
    x = Convolution(16, stride=2, transposed=True, use_bias=False)(nn.relu(x))
    x = leaky_relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
    return jnp.tanh(Convolution(self.features, stride=2, transposed=True)(x))


def encoder(model, shape) -> nn.Module:
  """The body. Raises UserError for images of another size."""
  if tuple(shape[:2]) != (32, 32):
    raise UserError(f'model.net=conv32 takes images of 32x32, not {shape[0]}x{shape[1]}')
  return Conv32Encoder()


def decoder(model, shape) -> nn.Module:
  """The decoder's body, up to images of shape (32, 32, features). Its mean is in (-1, 1): it takes
  a likelihood of one feature a channel, and data.scale=symmetric."""
  return Conv32Decoder(shape[-1])
