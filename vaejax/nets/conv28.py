"""The convolutional VAE of configs/source.py:conv28, for 28x28 images."""

from flax import linen as nn

from vaejax.errors import UserError
from vaejax.nets.blocks import Convolution


class Conv28Encoder(nn.Module):
  """[B, 28, 28, C] -> [B, 28, 28, 64]: 3x3 32 relu, 3x3 64 relu."""

  @nn.compact
  def __call__(self, x, train=False):
    for channels in (32, 64):
      x = nn.relu(Convolution(channels)(x))
    return x


class Conv28Decoder(nn.Module):
  """[B, 7, 7, 64] -> [B, 28, 28, F]: relu, transposed 3x3 64, 32 and F with strides 1, 2 and 2."""

  features: int
  places = 7, 7, 64

  @nn.compact
  def __call__(self, x, train=False):
    x = nn.relu(Convolution(64, transposed=True)(nn.relu(x)))
    x = nn.relu(Convolution(32, stride=2, transposed=True)(x))
    return Convolution(self.features, stride=2, transposed=True)(x)


def encoder(model, shape) -> nn.Module:
  """The body of the encoder. Raises UserError for images of another size."""
  if tuple(shape[:2]) != (28, 28):
    raise UserError(
      f'model.net=conv28 needs images of 28x28, but these are {shape[0]}x{shape[1]}. Set '
      'data.size=28 or model.net=conv'
    )
  return Conv28Encoder()


def decoder(model, shape) -> nn.Module:
  """The body of the decoder, up to images of shape (28, 28, features)."""
  return Conv28Decoder(shape[-1])
