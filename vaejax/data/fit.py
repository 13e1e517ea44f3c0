"""Changes the size and the number of channels of one uint8 image."""

import numpy as np

from vaejax.errors import UserError

MODES = {1: 'L', 2: 'LA', 3: 'RGB', 4: 'RGBA'}  # channels -> PIL's mode


def check_settings(size: int | None, channels: int | None, mode: str) -> None:
  """Raises UserError for settings that `fit_image` does not support."""
  if size is not None and (type(size) is not int or size < 1):
    raise UserError(f'data.size={size!r} is not a size. Give a whole number of pixels from 1')
  if channels not in (None, 1, 3):
    raise UserError(f'data.channels={channels!r} is not supported. Give 1 (grey) or 3 (RGB)')
  if mode not in ('resize', 'pad'):
    raise UserError(f"data.fit={mode!r} is unknown. Choose 'resize' or 'pad'")


def fitted_shape(
  shape: tuple[int, int, int], size: int | None, channels: int | None
) -> tuple[int, int, int]:
  """The shape [H, W, C] that `fit_image` returns for an image of shape [h, w, c]."""
  h, w, c = shape
  return (size or h, size or w, channels or c)


def fit_image(
  image: np.ndarray, size: int | None = None, channels: int | None = None, mode: str = 'resize'
) -> np.ndarray:
  """The image with its channels, then its size changed. None keeps them.

  Args:
    image: uint8 [h, w, c], c from 1 to 4: grey, grey and alpha, RGB, RGBA.
    size: height and width of the result.
    channels: 1 (ITU-R 601 luma) or 3 (grey repeated); an alpha channel is dropped.
    mode: 'resize' scales the image to the square with antialiasing. 'pad' centres it in the square
      and fills with zeros, or crops its centre if it is larger; an odd pixel goes below or right.

  Returns:
    uint8 [H, W, C]; the image itself if nothing changes.

  Raises:
    UserError: another setting.
  """
  check_settings(size, channels, mode)
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

  # PIL's bilinear filter is a weighted mean of the area when it shrinks an image. Its BOX filter
  # only uses complete pixels, which is asymmetric if the factor is not a whole number.
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
