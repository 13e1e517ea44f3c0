"""The convolutional VAE of configs/source.py:conv32, for 32x32 photographs."""

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
    # No bias before BatchNorm, see blocks.CENTRED.
    x = Convolution(16, stride=2, transposed=True, use_bias=False)(nn.relu(x))
    x = leaky_relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x))
    return jnp.tanh(Convolution(self.features, stride=2, transposed=True)(x))


def encoder(model, shape) -> nn.Module:
  """The body of the encoder. Raises UserError for images of another size."""
  if tuple(shape[:2]) != (32, 32):
    raise UserError(
      f'model.net=conv32 needs images of 32x32, but these are {shape[0]}x{shape[1]}. Set '
      'data.size=32 or model.net=conv'
    )
  return Conv32Encoder()


def decoder(model, shape) -> nn.Module:
  """The body of the decoder, up to images of shape (32, 32, features). Its output is in (-1, 1), so
  it needs data.scale=symmetric and a likelihood with one feature per channel."""
  return Conv32Decoder(shape[-1])
