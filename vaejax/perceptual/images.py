"""Images for the nets of this package: three channels, in [0, 1]."""

import jax
import jax.numpy as jnp

from vaejax.errors import UserError
from vaejax.types import Example

CHANNELS = 1, 3, 4  # grey, RGB, and RGBA, whose alpha is ignored


def check(example: Example, what: str) -> None:
  """Raises UserError unless the data is pictures. The message names `what` needs them."""
  shape = example.fields[example.data].shape
  if example.units:
    raise UserError(
      f'{what} needs images in [0, 1], but the data is real numbers in arbitrary units'
    )
  if shape[-1] not in CHANNELS:
    raise UserError(
      f'{what} needs images of 1, 3 or 4 channels, but the data is {example.data}s of shape {shape}'
    )


def check_images(example: Example, what: str) -> None:
  """Raises UserError unless the data is still pictures. The message names `what` needs them."""
  check(example, what)
  if example.data != 'image':
    raise UserError(f'{what} needs images, but the data is {example.data}s')


def rgb(image: jax.Array) -> jax.Array:
  """Images [B, H, W, C] as [B, H, W, 3]: one channel is repeated."""
  return jnp.repeat(image, 3, axis=-1) if image.shape[-1] == 1 else image[..., :3]
