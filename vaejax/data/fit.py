"""Changes the size and the number of channels of one image."""

import re

import numpy as np

from vaejax.errors import UserError
from vaejax.plural import counted

MODES = {1: 'L', 2: 'LA', 3: 'RGB', 4: 'RGBA'}  # channels -> PIL's mode
FITS = 'resize', 'pad', 'crop'
AUTO = 'auto'  # the default background: white behind what is transparent, black around a picture
COLOURS = {AUTO: (255, 255, 255), 'white': (255, 255, 255), 'black': (0, 0, 0)}


def check_settings(size: int | None, channels: int | None, mode: str) -> None:
  """Raises UserError for settings that `fit_image` does not support."""
  if size is not None and (type(size) is not int or size < 1):
    raise UserError(f'data.size={size!r} is not a size. Give a whole number of pixels from 1')
  if channels not in (None, 1, 3, 4):
    raise UserError(
      f'data.channels={channels!r} is not supported. Give 1 (grey), 3 (RGB) or 4 (RGBA)'
    )
  if mode not in FITS:
    raise UserError(f"data.fit={mode!r} is unknown. Choose 'resize', 'pad' or 'crop'")


def colour(background: str) -> tuple[int, int, int]:
  """The colour (red, green, blue) of a config's `data.background`, which is put behind what is
  transparent. Raises UserError."""
  if background in COLOURS:
    return COLOURS[background]
  numbers = re.fullmatch(r'\(?\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)?', str(background))
  values = tuple(map(int, numbers.groups())) if numbers else ()
  if not values or max(values) > 255:
    raise UserError(
      f"data.background={background!r} is not a colour. Give white, black, or '30,60,90': red, "
      'green and blue from 0 to 255'
    )
  return values


def surround(background: str, mode: str = 'pad') -> str:
  """The part of a config's `data.background` that decides what is around a padded picture: '' for
  black, and for other modes of fitting."""
  is_black = background in ('', AUTO) or not any(colour(background))
  return '' if is_black or mode != 'pad' else background


def fitted_shape(
  shape: tuple[int, int, int], size: int | None, channels: int | None
) -> tuple[int, int, int]:
  """The shape [H, W, C] that `fit_image` returns for an image of shape [h, w, c]."""
  h, w, c = shape
  return (size or h, size or w, channels or c)


def fit_image(
  image: np.ndarray,
  size: int | None = None,
  channels: int | None = None,
  mode: str = 'resize',
  background: str = '',
) -> np.ndarray:
  """The image with another number of channels, then another size. None keeps either.

  Args:
    image: [h, w, c]; uint8 with c from 1 to 4 is grey, grey and alpha, RGB, RGBA. Real numbers
      (uint16, float32), and more channels, only change in size. Each of two channels is resized
      by itself.
    size: height and width of the result.
    channels: of uint8: 1 (ITU-R 601 luma), 3 (grey repeated) or 4.
    mode: 'resize' scales the image to the square with antialiasing. 'pad' centres it in the square
      and fills with the background, or crops its centre if it is larger; an odd pixel goes below or
      right. 'crop' scales the shorter side to `size` and takes the centre.
    background: the colour that an image is put on when `channels` drops its alpha, see `colour`; ''
      ignores the alpha. It is also around a padded image of 8 or 16 bits with 1 or 3 channels, but
      '' and 'auto' are black there. Other images are padded with zeros, which are transparent if
      they have alpha.

  Returns:
    [H, W, C] of the same dtype; the image itself if nothing changes.

  Raises:
    UserError: a setting is not supported, or `channels` does not apply to the image.
  """
  check_settings(size, channels, mode)
  if channels and channels != image.shape[-1]:
    if image.dtype != np.uint8 or image.shape[-1] not in MODES:
      raise UserError(
        f'data.channels={channels} does not apply to images of '
        f'{counted(image.shape[-1], "channel")} of {image.dtype}. Set data.channels=0'
      )
    image = _recolour(image, channels, background)
  if size is None or image.shape[:2] == (size, size):
    return image
  if mode == 'crop':
    shorter = min(image.shape[:2])
    sides = [max(round(side * size / shorter), size) for side in image.shape[:2]]
    image = _resize(image, *sides)
  return _resize(image, size, size) if mode == 'resize' else _pad(image, size, background)


def _recolour(image: np.ndarray, channels: int, background: str = '') -> np.ndarray:
  """uint8 [h, w, c] -> uint8 [h, w, channels], by PIL's conversion."""
  picture = _picture(image)
  if background and picture.mode in ('LA', 'RGBA') and channels < 4:
    picture = on_background(picture, colour(background))
  return _array(picture.convert(MODES[channels]))


def on_background(picture, background: tuple[int, int, int]):
  """A PIL image with alpha, put onto a colour: RGB."""
  from PIL import Image

  below = Image.new('RGBA', picture.size, (*background, 255))
  below.alpha_composite(picture.convert('RGBA'))
  return below.convert('RGB')


def _resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
  """[h, w, c] -> [height, width, c]."""
  from PIL import Image

  if image.shape[:2] == (height, width):
    return image
  # PIL's bilinear filter is a weighted mean of the area when it shrinks an image. Its BOX filter
  # only uses complete pixels, which is asymmetric if the factor is not a whole number.
  resize = lambda picture: picture.resize((width, height), Image.Resampling.BILINEAR)
  # Two channels can be anything. As grey and alpha, PIL would weigh the one by the other.
  if image.dtype == np.uint8 and image.shape[-1] in (1, 3, 4):
    return _array(resize(_picture(image)))
  channels = np.moveaxis(image, -1, 0).astype(np.float32)
  result = np.stack([np.asarray(resize(Image.fromarray(channel))) for channel in channels], -1)
  if image.dtype.kind == 'f':
    return result.astype(image.dtype)
  limits = np.iinfo(image.dtype)
  return np.clip(np.rint(result), limits.min, limits.max).astype(image.dtype)


def _pad(image: np.ndarray, size: int, background: str) -> np.ndarray:
  """[h, w, c] -> [size, size, c]."""
  h, w, c = image.shape
  top, left = max(h - size, 0) // 2, max(w - size, 0) // 2
  image = image[top : top + size, left : left + size]
  h, w, _ = image.shape
  top, left = (size - h) // 2, (size - w) // 2
  square = np.zeros((size, size, c), image.dtype)
  if c in (1, 3) and image.dtype in (np.uint8, np.uint16) and surround(background):
    below = _recolour(np.asarray(colour(background), np.uint8).reshape(1, 1, 3), c)
    square[:] = below.astype(image.dtype) * (np.iinfo(image.dtype).max // 255)
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
