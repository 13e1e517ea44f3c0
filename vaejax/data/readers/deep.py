"""The 16-bit pixels of a PNG, of which Pillow itself drops the low bytes in colour."""

import io

import numpy as np


class Mismatch(ValueError):
  """An image is not what its dataset declares."""


def is_deep(picture) -> bool:
  """Whether the file of a PIL image that is not loaded yet has more than 8 bits in a channel."""
  return picture.mode[0] in 'IF' or any(';16' in str(tile[3]) for tile in picture.tile)


def pixels(data: bytes) -> np.ndarray:
  """uint16 [h, w, c] of the bytes of a PNG with 16 bits in each channel.

  Raises Mismatch for another image, and for grey with alpha.
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
  if raw not in ('RGB;16B', 'RGBA;16B'):
    raise Mismatch('16-bit grey with alpha is not supported')
  high = np.asarray(picture).astype(np.uint16)
  # Pillow keeps the first byte of each number, which in the other byte order is the low one.
  picture = opened()
  picture.tile = [(*picture.tile[0][:3], raw.replace('16B', '16L'))]
  return high << 8 | np.asarray(picture)
