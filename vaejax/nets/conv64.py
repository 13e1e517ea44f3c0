"""The convolutional nets of most studies of disentanglement, for 64x64 images (Higgins et al. 2017,
Kim & Mnih 2018; as in disentanglement_lib, Locatello et al. 2019, arXiv:1811.12359, table 1)."""

from flax import linen as nn

from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.nets.blocks import ACTIVATIONS, DTYPES
from vaejax.nets.conv import ConvDecoder, ConvLayers

CHANNELS = 32, 32, 64, 64
KERNELS = 4, 4, 2, 2
STRIDES = 2, 2, 2, 2
SMALLEST = 16


def settings(model, shape) -> dict:
  """Activation and dtype of a config's `model`. Raises UserError, also for images that are too
  small."""
  if min(shape[:2]) < SMALLEST:
    raise UserError(
      f'model.net=conv64 needs images of {SMALLEST}x{SMALLEST} or more, but these are '
      f'{shape[0]}x{shape[1]}. Set model.net=conv'
    )
  return {
    'activation': choice('model.activation', model.activation, {a: a for a in ACTIVATIONS}),
    'dtype': choice('model.dtype', model.dtype, DTYPES),
  }


def encoder(model, shape) -> nn.Module:
  """The body of the encoder: 4x4 with 32 channels twice, 2x2 with 64 twice, all with stride 2."""
  return ConvLayers(CHANNELS, STRIDES, KERNELS, **settings(model, shape))


def decoder(model, shape) -> nn.Module:
  """The body of the decoder, up to images of `shape`: transposed 4x4 with 64, 32, 32 and
  `shape[-1]` channels, all with stride 2."""
  return ConvDecoder(shape, CHANNELS[::-1], STRIDES, kernel=4, **settings(model, shape))
