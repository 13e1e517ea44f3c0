"""The 16-bit pixels of a PNG, of which Pillow itself drops the low bytes in colour."""

import io

import numpy as np

LUMA = 0.299, 0.587, 0.114  # of red, green and blue (ITU-R 601)
GREY_ALPHA = 'LA;16B'  # what Pillow calls 16-bit grey with alpha, which it opens as RGBA


class Mismatch(ValueError):
  """An image is not what its dataset declares."""


def is_grey(picture) -> bool:
  """Whether a deep PIL image that is not loaded yet is grey, with or without alpha."""
  return picture.mode[0] in 'IF' or any(tile[3] == GREY_ALPHA for tile in picture.tile)


def is_deep(picture) -> bool:
  """Whether the file of a PIL image that is not loaded yet has more than 8 bits in a channel."""
  return picture.mode[0] in 'IF' or any(';16' in str(tile[3]) for tile in picture.tile)


def pixels(data: bytes) -> np.ndarray:
  """uint16 [h, w, c] of the bytes of a PNG with 16 bits in each channel.

  Grey with alpha has 2 channels. Raises Mismatch for another image.
  """
  from PIL import Image

  def opened():
    return Image.open(io.BytesIO(data), formats=('PNG',))

  picture = opened()
  if not is_deep(picture):
    raise Mismatch('its pixels have 8 bits, not 16')
  if picture.mode[0] == 'I':
    return np.asarray(picture).astype(np.uint16)[..., None]
  raw = picture.tile[0][3]
  if raw == GREY_ALPHA:
    # As four bytes a pixel: Pillow only has a decoder for the first byte of each number.
    picture.tile = [(*picture.tile[0][:3], 'RGBA')]
    return np.asarray(picture).view('>u2').astype(np.uint16)
  high = np.asarray(picture).astype(np.uint16)
  # Pillow keeps the first byte of each number, which in the other byte order is the low one.
  picture = opened()
  picture.tile = [(*picture.tile[0][:3], raw.replace('16B', '16L'))]
  return high << 8 | np.asarray(picture)


def with_channels(image: np.ndarray, channels: int, background: tuple[int, int, int]) -> np.ndarray:
  """A 16-bit image without alpha, or with `channels` 4 in red, green, blue and alpha.

  Args:
    image: uint16 [h, w, c]: grey, grey and alpha, RGB, RGBA.
    background: red, green and blue from 0 to 255, behind what is transparent.
  """
  has_alpha = image.shape[-1] in (2, 4)
  colour = image[..., :-1] if has_alpha else image
  alpha = image[..., -1:] if has_alpha else np.full_like(image[..., :1], 65535)
  if channels == 4:
    return np.concatenate([np.broadcast_to(colour, (*image.shape[:2], 3)), alpha], -1)
  if not has_alpha:
    return image
  below = np.asarray(background, np.int64)
  if colour.shape[-1] == 1:
    below = np.rint(below @ np.array(LUMA)).astype(np.int64)
  alpha = alpha.astype(np.int64)
  return ((colour * alpha + 257 * below * (65535 - alpha) + 32767) // 65535).astype(np.uint16)
