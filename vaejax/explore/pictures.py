"""Pictures of a run as the page has them, RGBA of 8 bits, and picture files."""

import io
import warnings

import numpy as np

from vaejax.data.device.styles import LUMA
from vaejax.data.fit import colour
from vaejax.data.readers.pictures import FORMATS, coloured
from vaejax.errors import UserError
from vaejax.reporting import previews
from vaejax.types import Example

MAX_PIXELS = 40_000_000  # of a picture file


def to_rgba(x: np.ndarray, example: Example) -> np.ndarray:
  """Pictures [N, H, W, C] or videos [N, T, H, W, C] as Run gives them: uint8 [N, T, H, W, 4]."""
  return with_alpha(previews.shown(x, example))


def with_alpha(x: np.ndarray) -> np.ndarray:
  """Pictures or videos in [0, 1] with 1, 3 or 4 channels: uint8 [N, T, H, W, 4]."""
  pixels = np.rint(np.clip(np.nan_to_num(x, nan=0.5), 0, 1) * 255).astype(np.uint8)
  pixels = pixels if pixels.ndim == 5 else pixels[:, None]
  if pixels.shape[-1] == 4:
    return pixels
  if pixels.shape[-1] != 3:
    pixels = np.repeat(pixels[..., :1], 3, axis=-1)
  return np.concatenate([pixels, np.full_like(pixels[..., :1], 255)], axis=-1)


def from_rgba(x: np.ndarray, channels: int, levels: int = 256) -> np.ndarray:
  """uint8 [..., 4] with 1, 3 or 4 channels, as Run takes pictures. With 2 levels it is 0 or 255."""
  if channels == 1:
    x = np.rint(x[..., :3] @ np.asarray(LUMA))[..., None].astype(np.uint8)
  x = x[..., :channels]
  return np.where(x > 127, np.uint8(255), np.uint8(0)) if levels == 2 else x


def can_read(example: Example) -> bool:
  """Whether RGBA of 8 bits can be made a picture of a run."""
  return not example.units and example.fields[example.data].shape[-1] in (1, 3, 4)


def read(data: bytes, shape: tuple[int, int, int], background: str) -> np.ndarray:
  """The pixels of a picture file, uint8 [H, W, C]: scaled, and its centre if the sides differ.

  Args:
    background: of what is transparent, see data/fit.py.

  Raises UserError for what is no picture, a too large one, or a background that is no colour.
  """
  from PIL import Image, ImageOps

  height, width, channels = shape
  behind = colour(background)
  too_large = UserError(f'the picture has more than {MAX_PIXELS // 10**6} million pixels')
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')  # a picture above Pillow's own limit, which is larger
      with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        if picture.width * picture.height > MAX_PIXELS:
          raise too_large
        picture.load()
        picture = coloured(ImageOps.exif_transpose(picture), channels, behind)
        picture = ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)
  except UserError:
    raise
  except Image.DecompressionBombError:
    raise too_large from None
  except Exception:  # Pillow raises errors of many kinds for damaged files
    raise UserError('this is no picture that can be read. Use PNG, JPEG, WebP or GIF') from None
  return np.frombuffer(picture.tobytes(), np.uint8).reshape(shape)
