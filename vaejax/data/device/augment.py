"""Random changes of training images on the device, each drawn by the key of its row."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates

from vaejax.data.device.jitter import jitter
from vaejax.data.device.noise import bits, uniform
from vaejax.errors import UserError
from vaejax.plural import counted

# Each change folds its own number into the key of a row. Styles fold 2 and 3.
FLIP, CROP, ROTATE, SHIFT, COLOUR, CUTOUT, MUTATE = 1, 4, 5, 6, 7, 8, 9


class Augment(NamedTuple):
  """The fields of a config's `data.augment`.

  Attributes:
    flip: mirror left to right with probability one half.
    pad: pixels of zero padding on each side before a random crop.
    crop: side of the random crop; 0 keeps the size of the image.
    shift: largest shift along each axis, in pixels.
    rotate: largest angle, each way, in degrees.
    brightness, contrast, saturation: a factor is drawn from 1 - x to 1 + x.
    hue: largest change of the hue, each way, in turns of the colour circle.
    cutout: side of a square that is set to zero.
    mutate: probability with which an element is replaced by a uniform one.
    edge: what moves in from outside repeats the pixels at the edge, instead of zeros.
    centre: take the crop's centre and draw nothing, as evaluation does.
  """

  flip: bool = False
  pad: int = 0
  crop: int = 0
  shift: int = 0
  rotate: float = 0.0
  brightness: float = 0.0
  contrast: float = 0.0
  saturation: float = 0.0
  hue: float = 0.0
  cutout: int = 0
  mutate: float = 0.0
  edge: bool = False
  centre: bool = False

  @property
  def colour(self) -> dict[str, float]:
    """The changes of colour that are on."""
    names = 'brightness', 'contrast', 'saturation', 'hue'
    return {name: value for name in names if (value := getattr(self, name))}

  @property
  def only_flips(self) -> bool:
    """Whether nothing but flips is on."""
    return self == Augment(flip=self.flip, edge=self.edge)


NONE = Augment()


def evaluation(settings: Augment) -> Augment:
  """What evaluation does: the centre of the crop, and nothing random."""
  return Augment(crop=settings.crop, centre=True)


def output_shape(settings: Augment, shape: tuple[int, ...]) -> tuple[int, ...]:
  """The shape [..., H, W, C] of an augmented image or video, from that of the stored one."""
  *outer, height, width, channels = shape
  side = settings.crop
  return (*outer, side or height, side or width, channels)


def check(
  settings: Augment, shape: tuple[int, ...], real: bool = False, binarise: str = 'none'
) -> None:
  """Raises UserError for settings that do not fit rows [..., H, W, C].

  Args:
    real: whether the data is real numbers, rather than 8-bit.
    binarise: as in a config's `data.binarise`.
  """
  height, width, channels = shape[-3:]
  size = f'{height}x{width}'
  if settings.crop > min(height, width):
    raise UserError(
      f'data.augment.crop={settings.crop} is larger than the images of {size}. Use at most '
      f'{min(height, width)}, or a larger data.size'
    )
  inner = settings.crop or min(height, width)
  for name, most in (('shift', inner - 1), ('cutout', inner)):
    if getattr(settings, name) > most:
      raise UserError(
        f'data.augment.{name}={getattr(settings, name)} is too large for images of '
        f'{"x".join(map(str, output_shape(settings, shape)[-3:-1]))}. Use at most {most}'
      )
  if settings.mutate and real:
    raise UserError(
      f'data.augment.mutate={settings.mutate:g} needs 8-bit images, but the data is real numbers. '
      'Set data.augment.mutate=0'
    )
  for name, value in settings.colour.items():
    allowed = (3,) if name in ('saturation', 'hue') else (1, 3)
    needs = f'data.augment.{name}={value:g} needs {" or ".join(map(str, allowed))} channels of 8 '
    if real or channels not in allowed:
      has = f'{counted(channels, "channel")} of {"real numbers" if real else "8"}'
      has += '' if real else ' bits'
      raise UserError(f'{needs}bits, but the data has {has}. Set data.augment.{name}=0')
    if binarise == 'static':
      raise UserError(
        f'data.augment.{name}={value:g} needs grey levels, but data.binarise=static draws black '
        f'and white once for each image. Set data.augment.{name}=0, or data.binarise=dynamic'
      )


def augment(settings: Augment, image: jax.Array, keys: jax.Array, levels: int = 256) -> jax.Array:
  """Rows [N, (T,) H, W, C] with the changes that are on, one draw for each row.

  The order is crop, flip, rotate, shift, colour, cutout, mutate. What moves in from outside is
  zero, or repeats the edge.

  Args:
    image: uint8 with `levels` evenly spaced values from 0 to 255, or float32 of any range.
    keys: the key of each row, [N].
    levels: results are rounded to so many evenly spaced values, of uint8 from 0 to 255 and of
      float32 from 0 to 1 (2 for binary images); 0 leaves float32 as it is.

  Returns:
    The same type, [N, (T,) h, w, C], see output_shape.
  """
  if settings.centre:
    return centre_crop(image, settings.crop)
  fold = lambda number: jax.vmap(jax.random.fold_in, (0, None))(keys, number)
  draws = lambda number, count: uniform(fold(number), count)
  if settings.crop or settings.pad:
    image = random_crop(image, settings.pad, settings.crop, draws(CROP, 2), settings.edge)
  if settings.flip:
    image = flip(image, fold(FLIP))
  if settings.rotate:
    angle = settings.rotate * (2 * draws(ROTATE, 1)[:, 0] - 1)
    image = round_to(rotate(image.astype(jnp.float32), angle, settings.edge), image.dtype, levels)
  if settings.shift:
    # A shift is a crop of the padded image, back to its size.
    image = random_crop(image, settings.shift, 0, draws(SHIFT, 2), settings.edge)
  if settings.colour:
    coloured = jitter(image.astype(jnp.float32) / 255, 2 * draws(COLOUR, 4) - 1, **settings.colour)
    image = round_to(coloured * 255, image.dtype, levels)
  if settings.cutout:
    image = cutout(image, settings.cutout, draws(CUTOUT, 2))
  if settings.mutate:
    image = mutate(image, settings.mutate, fold(MUTATE), levels)
  return image


def round_to(image: jax.Array, dtype, levels: int) -> jax.Array:
  """Float32 values as `dtype`: uint8 on the nearest of `levels` values from 0 to 255, float32 on
  the nearest of `levels` values from 0 to 1, or unchanged if levels is 0."""
  if jnp.issubdtype(dtype, jnp.floating):
    return jnp.round(image * (levels - 1)) / (levels - 1) if levels else image
  step = 255 / (levels - 1)
  return jnp.clip(jnp.round(jnp.round(image / step) * step), 0, 255).astype(dtype)


def flip(image: jax.Array, keys: jax.Array) -> jax.Array:
  """Images [N, ..., H, W, C], each mirrored left to right with probability one half."""
  mirrored = jax.vmap(jax.random.bernoulli)(keys).reshape(-1, *[1] * (image.ndim - 1))
  return jnp.where(mirrored, image[..., ::-1, :], image)


def window(image: jax.Array, top: jax.Array, left: jax.Array, height: int, width: int) -> jax.Array:
  """The window [N, ..., height, width, C] of each row [N, ..., H, W, C] whose upper left corner is
  at (top, left), [N] each."""

  def cut(row, top, left):
    start = (*[0] * (row.ndim - 3), top, left, 0)
    return jax.lax.dynamic_slice(row, start, (*row.shape[:-3], height, width, row.shape[-1]))

  return jax.vmap(cut)(image, top, left)


def centre_crop(image: jax.Array, side: int) -> jax.Array:
  """The centre of images [..., H, W, C]; an odd pixel is cut off below or right. Side 0
  keeps everything."""
  height, width = image.shape[-3:-1]
  if not side:
    return image
  top, left = (height - side) // 2, (width - side) // 2
  return image[..., top : top + side, left : left + side, :]


def random_crop(
  image: jax.Array, pad: int, side: int, draws: jax.Array, edge: bool = False
) -> jax.Array:
  """Crops of `side` (0: the size before padding) from images [N, ..., H, W, C] padded with zeros or
  the pixels at the edge, at positions from uniform draws [N, 2]."""
  height, width = (side or n for n in image.shape[-3:-1])
  widths = [(0, 0)] * (image.ndim - 3) + [(pad, pad), (pad, pad), (0, 0)]
  image = jnp.pad(image, widths, mode='edge' if edge else 'constant')
  places = np.array([image.shape[-3] - height + 1, image.shape[-2] - width + 1], np.float32)
  top, left = (draws * places).astype(jnp.int32).T
  return window(image, top, left, height, width)


def rotate(image: jax.Array, degrees: jax.Array, edge: bool = False) -> jax.Array:
  """Float32 images [N, ..., H, W, C] turned counter-clockwise around their centre by degrees [N],
  with bilinear interpolation, and zeros or the pixels at the edge from outside."""
  height, width = image.shape[-3:-1]
  y, x = jnp.mgrid[:height, :width]
  y, x = y - (height - 1) / 2, x - (width - 1) / 2
  mode = 'nearest' if edge else 'constant'

  def turn(row, angle):
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    source = [cos * y + sin * x + (height - 1) / 2, cos * x - sin * y + (width - 1) / 2]
    planes = jnp.moveaxis(row, (-3, -2), (-2, -1)).reshape(-1, height, width)
    planes = jax.vmap(lambda plane: map_coordinates(plane, source, order=1, mode=mode))(planes)
    return jnp.moveaxis(
      planes.reshape(*row.shape[:-3], row.shape[-1], height, width), (-2, -1), (-3, -2)
    )

  return jax.vmap(turn)(image, jnp.deg2rad(degrees))


def cutout(image: jax.Array, side: int, draws: jax.Array) -> jax.Array:
  """Images [N, ..., H, W, C] with a square of zeros, all of it inside the image, at positions from
  uniform draws [N, 2] (DeVries & Taylor 2017, arXiv:1708.04552)."""
  height, width = image.shape[-3:-1]
  places = np.array([height - side + 1, width - side + 1], np.float32)
  top, left = ((draws * places).astype(jnp.int32)[..., None]).swapaxes(0, 1)
  y, x = jnp.arange(height), jnp.arange(width)
  rows, columns = (y >= top) & (y < top + side), (x >= left) & (x < left + side)
  hidden = rows[:, :, None] & columns[:, None, :]
  hidden = hidden.reshape(-1, *[1] * (image.ndim - 4), height, width, 1)
  return jnp.where(hidden, jnp.zeros((), image.dtype), image)


def mutate(image: jax.Array, rate: float, keys: jax.Array, levels: int) -> jax.Array:
  """Images [N, ..., H, W, C], uint8 or float32 in [0, 1], with each element replaced with
  probability `rate` by one of `levels` values, all equally likely. A background model is trained on
  such images (Ren et al. 2019, arXiv:1906.02845, section 4)."""
  drawn = bits(keys, math.prod(image.shape[1:])).reshape(image.shape)
  value = ((drawn & 0xFFFF) * np.uint32(levels) >> 16).astype(jnp.float32) / (levels - 1)
  if not jnp.issubdtype(image.dtype, jnp.floating):
    value = jnp.round(value * 255)
  return jnp.where((drawn >> 16) < round(rate * 2**16), value.astype(image.dtype), image)
