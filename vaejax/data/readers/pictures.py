"""Decodes one picture file."""

import contextlib
import functools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from vaejax.data.fit import MODES, on_background
from vaejax.data.readers import deep
from vaejax.errors import UserError

# For these formats Pillow runs no other program, as it does for EPS.
FORMATS = 'PNG', 'JPEG', 'WEBP', 'BMP', 'DIB', 'TIFF', 'GIF', 'PPM'
ORIENTATION, BITS, PHOTOMETRIC, SAMPLE_FORMAT = 0x0112, 258, 262, 339  # tags
WHITE_IS_ZERO, UNSIGNED, SIGNED = 0, 1, 2  # values of tags
GREY8, COLOUR8, GREY16, REAL, COLOUR16, BINARY = 1, 2, 3, 4, 5, 6  # kinds of pictures
EIGHT_BITS = GREY8, COLOUR8, BINARY
NAMES = {
  GREY8: '8-bit grey',
  BINARY: 'black and white',
  COLOUR8: '8-bit colour',
  GREY16: '16-bit grey',
  REAL: 'real numbers',
  COLOUR16: '16-bit colour',
}
# How pixels [h, w, c] are turned for each orientation of EXIF.
TURNS = {
  2: lambda x: x[:, ::-1],
  3: lambda x: x[::-1, ::-1],
  4: lambda x: x[::-1],
  5: lambda x: x.swapaxes(0, 1),
  6: lambda x: x[::-1].swapaxes(0, 1),
  7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
  8: lambda x: x[:, ::-1].swapaxes(0, 1),
}


class Damaged(UserError):
  """A file is no picture, cannot be read to its end, or has values that are not finite."""


class Header(NamedTuple):
  """The size of a picture as it is seen, and its kind. `pages` is whether a TIFF has several."""

  height: int
  width: int
  kind: int
  pages: bool


def header(path: str) -> Header:
  """The header of a picture file. Raises UserError for one that cannot be read or has a format that
  is not supported; Damaged if it is no picture."""
  with opened(path) as picture:
    kind = kind_of(picture, path)
    height, width = picture.height, picture.width
    # Pillow turns a TIFF itself. It would decode a PNG to the end for an orientation that is stored
    # behind its pixels.
    early = picture.format != 'PNG' or 'exif' in picture.info
    if picture.format != 'TIFF' and early and orientation(picture) in (5, 6, 7, 8):
      height, width = width, height
    pages = picture.format == 'TIFF' and bool(getattr(picture, 'is_animated', False))
  return Header(height, width, kind, pages)


def decode(path: str, channels: int, background: tuple[int, int, int]) -> np.ndarray:
  """The pixels of a picture file, turned as its orientation says; of a GIF, its first frame.

  Args:
    channels: of 8-bit pictures: 1, 3 or 4. Those of 16 bits keep the number of their colours, or
      have 4, and others have their own.
    background: red, green and blue behind what is transparent, unless channels is 4.

  Returns:
    uint8, uint16 or float32 [h, w, c].

  Raises:
    UserError: see `header`; Damaged if it cannot be read to its end, or its values are not finite.
  """
  from PIL import ImageOps

  with opened(path) as picture:
    kind = kind_of(picture, path)
    is_unsigned = picture.format == 'TIFF' and sample_format(picture) == UNSIGNED
    white_is_zero = picture.format == 'TIFF' and picture.tag_v2.get(PHOTOMETRIC) == WHITE_IS_ZERO
    if picture.format == 'PNG' and deep.is_deep(picture):
      with open(path, 'rb') as file:
        values = deep.pixels(file.read())
      values = TURNS.get(orientation(picture), lambda x: x)(values)
      return deep.with_channels(values, channels, background)
    picture.load()
    if orientation(picture) != 1:
      picture = ImageOps.exif_transpose(picture)
    if kind in EIGHT_BITS:
      picture = coloured(picture, channels, background)
      shape = picture.height, picture.width, channels
      return np.frombuffer(picture.tobytes(), np.uint8).reshape(shape)
    values = np.asarray(picture)[..., None]
    if kind == GREY16:
      values = values.astype(np.uint16)
      values = np.uint16(65535) - values if white_is_zero else values
      return deep.with_channels(values, channels, background)
    if values.dtype == np.int32 and is_unsigned:
      values = values.view(np.uint32)  # Pillow reads these bits as signed numbers
    values = values.astype(np.float32)
    if not np.isfinite(values).all():
      raise Damaged(
        f'{path} has values that are not finite. Repair it or move it away, or set '
        'data.skip_damaged=True to go on without such files'
      )
    return values


def coloured(picture, channels: int, background: tuple[int, int, int]):
  """An 8-bit PIL image converted to 1, 3 or 4 channels. With 1 or 3, what is transparent is put
  onto the background."""
  if channels < 4 and is_transparent(picture):
    picture = on_background(picture, background)
  if channels == 4 and picture.mode in ('L', '1', 'CMYK', 'YCbCr') and not is_transparent(picture):
    picture = picture.convert('RGB')  # Pillow cannot convert all of these to RGBA directly
  return picture if picture.mode == MODES[channels] else picture.convert(MODES[channels])


def orientation(picture) -> int:
  """How a PIL image has to be turned, 1 to 8 as in EXIF. A damaged entry counts as upright."""
  with contextlib.suppress(Exception):
    return picture.getexif().get(ORIENTATION, 1)
  return 1


def is_transparent(picture) -> bool:
  """Whether a PIL image has alpha."""
  return picture.mode in ('LA', 'La', 'PA', 'RGBA', 'RGBa') or 'transparency' in picture.info


def kind_of(picture, path: str) -> int:
  """The kind of an opened PIL image. Raises UserError for one of which Pillow would drop bits."""
  mode = picture.mode
  if mode.startswith('I;16') or (mode == 'I' and picture.format in ('PNG', 'PPM')):
    return GREY16
  if mode in ('I', 'F'):
    return REAL
  if picture.format == 'PNG' and deep.is_deep(picture):
    return GREY16 if deep.is_grey(picture) else COLOUR16
  # Pillow silently reads 16-bit colours with 8 bits.
  if sample_bits(picture) > 8:
    raise UserError(
      f'{path} has 16 bits a channel in {mode}, which Pillow only reads with 8. Convert it to 8 '
      'bits, or store the pictures as uint16 [N, H, W, C] in an .npz'
    )
  if mode == 'L' and picture.format == 'TIFF' and sample_format(picture) == SIGNED:
    raise UserError(f'{path} has signed numbers of 8 bits. Store them with 16 bits or as floats')
  if mode in ('LAB', 'HSV'):
    raise UserError(f'{path} is a picture in {mode}. Convert it to RGB')
  palette = picture.getpalette() if mode == 'P' else None
  if palette:
    values = np.asarray(palette[: len(palette) // 3 * 3]).reshape(-1, 3)
    return GREY8 if (values == values[:, :1]).all() else COLOUR8
  if mode == '1':
    return BINARY
  return GREY8 if mode in ('L', 'LA', 'La') else COLOUR8


def sample_bits(picture) -> int:
  """The bits of each channel in the file of a PIL image."""
  if picture.format == 'TIFF':
    return max(picture.tag_v2.get(BITS) or (8,))
  arguments = picture.tile[0][3] if picture.tile else ''
  if picture.format == 'PNG':
    return 16 if ';16' in str(arguments) else 8
  if picture.format == 'PPM':  # the largest value, for the decoders that have it
    largest = arguments[-1] if isinstance(arguments, tuple) else arguments
    return 16 if isinstance(largest, int) and largest > 255 else 8
  return 8


def sample_format(picture) -> int:
  """What the numbers in a TIFF are: UNSIGNED, SIGNED, or others for floats."""
  return picture.tag_v2.get(SAMPLE_FORMAT, (UNSIGNED,))[0]


@functools.cache
def formats() -> tuple[str, ...]:
  """The FORMATS that the installed Pillow can read."""
  from PIL import Image

  Image.init()
  return tuple(name for name in FORMATS if name in Image.OPEN)


@contextlib.contextmanager
def opened(path: str) -> Iterator:
  """A context with the PIL image of a file. Errors inside become UserError or Damaged."""
  from PIL import Image

  try:
    with open(path, 'rb') as file:
      yield Image.open(file, formats=formats())
  except (UserError, MemoryError):
    raise
  except Image.DecompressionBombError:
    raise UserError(f'{path} has too many pixels. Store it with fewer, or move it away') from None
  except (PermissionError, FileNotFoundError) as error:
    raise UserError(f'{path} cannot be read: {error.strerror}') from None
  except Exception as error:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    if isinstance(error, Image.UnidentifiedImageError):
      line = 'no format of pictures that Pillow can read'
      with contextlib.suppress(OSError), open(path, 'rb') as file:
        start = file.read(4)
        line = 'it is empty' if not start else line
        if start in (b'II*\0', b'MM\0*'):
          line = 'a kind of TIFF that Pillow cannot read; other numbers of channels fit in an .npz'
    raise Damaged(
      f'{path} cannot be read: {line}. Repair it or move it away, or set data.skip_damaged=True to '
      'go on without such files'
    ) from None
