"""Sources from which images are to be predicted, made on the device: an image with a part missing,
smaller, without its colours, with noise, or in another style. Each row is drawn by its key."""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.data.device.masks import MASKS, masks
from vaejax.data.device.noise import bits, uniform
from vaejax.data.device.styles import LUMA, STYLES
from vaejax.errors import UserError
from vaejax.lookup import nearest

FOLD = 10  # into the key of a row; changes of the image fold other numbers, see augment.py
SIDES = 2, 4  # factors of `small`
FILTERS = {'box': 0.5, 'bicubic': 2.0}  # filters of PIL, and their support in pixels
MISSING = 0.5  # what is shown where an image is missing
REVERSED, STYLED = 'to:', 'style:'
ALL_STYLES = {style.__name__: style for kind in STYLES.values() for style in kind}
EXAMPLES = (
  *(f'mask:{kind}' for kind in MASKS),
  *(f'small:{factor}' for factor in SIDES),
  'grey',
  'noise:0.2',
  *(f'style:{name}' for name in ALL_STYLES),
  'domain:A>B',
)


class Spec(NamedTuple):
  """A config's `data.source`.

  Attributes:
    kind: mask, small, grey, noise, style or domain.
    value: the kind of a mask, the factor of `small`, the standard deviation of the noise, the name
      of a style, or the two domains.
    filter: of `small`.
    reverse: whether the source is the image, and the image is what is made from it.
  """

  kind: str
  value: str | int | float | tuple[str, str] = ''
  filter: str = 'box'
  reverse: bool = False


def parse(source: str) -> Spec:
  """The Spec of a config's `data.source`. Raises UserError.

  mask:KIND, small:FACTOR, small:FACTOR:FILTER, grey, noise:DEVIATION or the name of a style is what
  is made from the image. After to: the source is the image as it is stored, and the image is what
  is made from it; style:NAME is to:NAME of a style. domain:A>B are rows of two folders, see
  data/domains.py.
  """
  is_styled = source.startswith(STYLED)
  reverse = source.startswith(REVERSED) or is_styled
  kind, *options = source.removeprefix(STYLED if is_styled else REVERSED).split(':')
  unknown = UserError(
    f'data.source={source} is unknown{nearest(source, EXAMPLES)}. Choose one of '
    f'{", ".join(EXAMPLES)}'
  )
  if is_styled and kind not in ALL_STYLES:
    raise unknown
  if kind == 'domain' and len(options) == 1 and not reverse:
    domains = tuple(options[0].split('>'))
    if len(domains) != 2 or not all(domains) or domains[0] == domains[1]:
      raise UserError(
        f'data.source={source} does not name two domains. Give domain:A>B, where A and B are two '
        'folders with the same file names'
      )
    return Spec(kind, domains)
  if kind == 'mask' and len(options) == 1 and options[0] in MASKS:
    return Spec(kind, options[0], reverse=reverse)
  if kind == 'small' and len(options) in (1, 2) and options[0] in map(str, SIDES):
    chosen = (*options, 'box')[1]
    if chosen not in FILTERS:
      raise UserError(f'data.source={source} has no filter {chosen!r}. Use {" or ".join(FILTERS)}')
    return Spec(kind, int(options[0]), chosen, reverse)
  if kind == 'noise' and len(options) == 1:
    try:
      deviation = float(options[0])
    except ValueError:
      raise unknown from None
    if not 0 < deviation <= 1:
      raise UserError(f'data.source={source} is out of range. Give a deviation above 0, at most 1')
    return Spec(kind, deviation, reverse=reverse)
  if kind == 'grey' and not options:
    return Spec(kind, reverse=reverse)
  if kind in ALL_STYLES and not options:
    return Spec('style', kind, reverse=reverse)
  raise unknown


def made_shape(spec: Spec, shape: tuple[int, int, int]) -> tuple[int, int, int]:
  """The shape of what is made from an image [H, W, C]. Raises UserError if it does not fit."""
  height, width, channels = shape
  if spec.kind == 'small':
    if height % spec.value or width % spec.value:
      raise UserError(
        f'data.source=small:{spec.value} does not divide images of {height}x{width}. Set data.size '
        f'to a multiple of {spec.value}'
      )
    return height // spec.value, width // spec.value, channels
  if spec.kind == 'grey':
    if channels != 3:
      raise UserError(
        f'data.source=grey needs 3 channels, but the images have {channels}. Use another dataset, '
        'or data.channels=3'
      )
    return height, width, 1
  if spec.kind == 'style':
    if channels not in (1, 3):
      raise UserError(
        f'data.source={spec.value} needs 1 or 3 channels, but the images have {channels}. Set '
        'data.channels'
      )
    return height, width, 3
  return height, width, channels + (spec.kind == 'mask')


def shapes(source: str, shape: tuple[int, int, int]) -> tuple[tuple, tuple]:
  """The shapes of the image and of its source, from that of the stored image. Raises UserError."""
  spec = parse(source)
  made = made_shape(spec, shape)
  return (made, shape) if spec.reverse else (shape, made)


def apply(source: str, image: jax.Array, other: jax.Array, keys: jax.Array):
  """The image and its source, [N, H, W, C] and [N, h, w, c], in [0, 1].

  Args:
    source: a config's `data.source`.
    image: [N, H, W, C] in [0, 1].
    other: the image from which the source is made: the same one, or another one if rows are not
      paired; of domains, the source itself.
    keys: the key of each row, [N].
  """
  spec = parse(source)
  if spec.kind == 'domain':
    return image, other
  keys = jax.vmap(jax.random.fold_in, (0, None))(keys, FOLD)
  if spec.reverse:
    return make(spec, image, keys), other
  return image, make(spec, other, keys)


def make(spec: Spec, image: jax.Array, keys: jax.Array) -> jax.Array:
  """What a Spec makes from images [N, H, W, C] in [0, 1], rounded to 256 levels like images from
  files. Of a mask, the last channel is 1 where the image is seen."""
  if spec.kind == 'mask':
    return hide(image, masks(spec.value, keys, *image.shape[1:3]))
  if spec.kind == 'small':
    return shrink(image, spec.value, spec.filter)
  if spec.kind == 'grey':
    return grey(image)
  if spec.kind == 'noise':
    return noisy(image, spec.value, keys)
  image = jnp.broadcast_to(image, (*image.shape[:-1], 3))
  strength = uniform(keys, 1)[:, 0]
  return round_to_levels(jax.vmap(ALL_STYLES[spec.value])(image, strength))


def round_to_levels(image: jax.Array) -> jax.Array:
  """The nearest of 256 levels in [0, 1]."""
  return jnp.clip(jnp.round(image * 255), 0, 255) / 255


def hide(image: jax.Array, seen: jax.Array) -> jax.Array:
  """Images [N, H, W, C] in [0, 1] with MISSING where `seen` [N, H, W, 1] is 0, and `seen` as their
  last channel: [N, H, W, C + 1]."""
  seen = jnp.broadcast_to(seen, (*image.shape[:3], 1)).astype(image.dtype)
  return jnp.concatenate([seen * image + (1 - seen) * MISSING, seen], axis=-1)


def grey(image: jax.Array) -> jax.Array:
  """The luma [..., 1] of colours [..., 3] in [0, 1] (Rec. 601), rounded to 256 levels."""
  return round_to_levels(image @ jnp.asarray(LUMA))[..., None]


def cubic(x: np.ndarray) -> np.ndarray:
  """Keys' cubic convolution kernel with a = -1/2, as PIL has it (Keys 1981, equation 15)."""
  x = np.abs(x)
  near = (1.5 * x - 2.5) * x**2 + 1
  return np.where(x < 1, near, np.where(x < 2, ((-0.5 * x + 2.5) * x - 4) * x + 2, 0.0))


@functools.cache
def weights(side: int, factor: int, filter: str) -> np.ndarray:
  """The matrix [side / factor, side] with which PIL makes a row of pixels smaller: the filter is
  stretched by the factor, cut off at the border, and its weights add up to 1."""
  centre = (np.arange(side // factor)[:, None] + 0.5) * factor
  x = (np.arange(side) + 0.5 - centre) / factor
  inside = np.abs(x) <= FILTERS[filter]
  kernel = np.where(inside, cubic(x) if filter == 'bicubic' else 1.0, 0.0)
  return (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)


def shrink(image: jax.Array, factor: int, filter: str = 'box') -> jax.Array:
  """Images [N, H, W, C] in [0, 1] -> [N, H / factor, W / factor, C], as PIL resizes 8-bit images:
  rows first, rounded to 256 levels, then columns. 'box' is the mean of each square."""
  height, width = image.shape[1:3]
  product = functools.partial(jnp.einsum, precision='highest')
  # Halves are rounded up, as PIL rounds; they are exact only up to the rounding of float32.
  level = lambda x: jnp.clip(jnp.floor(255 * x + 0.501), 0, 255) / 255
  rows = level(product('nhwc,vw->nhvc', image, weights(width, factor, filter)))
  return level(product('nhwc,uh->nuwc', rows, weights(height, factor, filter)))


def noisy(image: jax.Array, deviation: float, keys: jax.Array) -> jax.Array:
  """Images [N, H, W, C] in [0, 1] with Gaussian noise, clipped to [0, 1]."""
  words = bits(keys, math.prod(image.shape[1:])).reshape(image.shape)
  # The centre of one of 2^24 equal parts of (0, 1), so that the quantile is finite.
  fraction = ((words >> 8).astype(jnp.float32) + 0.5) / 2**24
  return round_to_levels(image + deviation * jax.scipy.special.ndtri(fraction))
