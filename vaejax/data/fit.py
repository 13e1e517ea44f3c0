"""Bring one uint8 image to the size and the number of channels that were asked for."""

import numpy as np

from vaejax.errors import UserError

MODES = {1: 'L', 2: 'LA', 3: 'RGB', 4: 'RGBA'}  # channels -> PIL's mode


def check(size: int | None, channels: int | None, mode: str) -> None:
  """Raises UserError where `fit` would not take these settings."""
  if size is not None and (type(size) is not int or size < 1):
    raise UserError(f'data.size is {size!r}: give a whole number of pixels from 1, or None')
  if channels not in (None, 1, 3):
    raise UserError(f'data.channels is {channels!r}: give 1 (grey), 3 (RGB) or None')
  if mode not in ('resize', 'pad'):
    raise UserError(f"data.fit is {mode!r}: give 'resize' or 'pad'")


def fitted(
  shape: tuple[int, int, int], size: int | None, channels: int | None
) -> tuple[int, int, int]:
  """The shape [H, W, C] of what `fit` makes of an image of this shape [h, w, c]."""
  h, w, c = shape
  return (size or h, size or w, channels or c)


def fit(
  image: np.ndarray, size: int | None = None, channels: int | None = None, mode: str = 'resize'
) -> np.ndarray:
  """Changes an image's channels, then its size. None leaves as it is.

  Args:
    image: uint8 [h, w, c], c from 1 to 4: grey, grey and alpha, RGB, RGBA.
    size: height and width of the result.
    channels: 1 (ITU-R 601 luma) or 3 (grey repeated); an alpha channel is dropped.
    mode: 'resize' scales the whole image to the square, antialiased; 'pad' centres it in the square
      between zeros, and takes its centre where it is larger. An odd pixel goes below or right.

  Returns:
    uint8 [H, W, C], the image itself where nothing had to change.

  Raises:
    UserError: a setting outside of the above.
  """
  check(size, channels, mode)
  if channels and channels != image.shape[-1]:
    image = _recolour(image, channels)
  if size is None or image.shape[:2] == (size, size):
    return image
  return _pad(image, size) if mode == 'pad' else _resize(image, size)


def _recolour(image: np.ndarray, channels: int) -> np.ndarray:
  """uint8 [h, w, c] -> uint8 [h, w, channels], by PIL's conversion."""
  return _array(_picture(image).convert(MODES[channels]))


def _resize(image: np.ndarray, size: int) -> np.ndarray:
  """uint8 [h, w, c] -> uint8 [size, size, c]."""
  from PIL import Image

  # PIL's bilinear filter widens as it shrinks, so it is a weighted area mean then; its BOX filter
  # takes whole pixels only and is lopsided where the factor is not whole.
  return _array(_picture(image).resize((size, size), Image.Resampling.BILINEAR))


def _pad(image: np.ndarray, size: int) -> np.ndarray:
  """uint8 [h, w, c] -> uint8 [size, size, c]."""
  h, w, c = image.shape
  top, left = max(h - size, 0) // 2, max(w - size, 0) // 2
  image = image[top : top + size, left : left + size]
  h, w, _ = image.shape
  top, left = (size - h) // 2, (size - w) // 2
  square = np.zeros((size, size, c), np.uint8)
  square[top : top + h, left : left + w] = image
  return square


def _picture(image: np.ndarray):
  """uint8 [h, w, c] -> PIL image."""
  from PIL import Image

  h, w, c = image.shape
  return Image.frombytes(MODES[c], (w, h), np.ascontiguousarray(image).tobytes())


def _array(picture) -> np.ndarray:
  """PIL image -> uint8 [h, w, c]."""
  return np.frombuffer(picture.tobytes(), np.uint8).reshape(picture.height, picture.width, -1)
