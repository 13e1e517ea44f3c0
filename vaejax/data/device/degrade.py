"""What a picture is predicted from: the same picture with a missing part, smaller, grey, noisy, or
before a change of style. Pure functions on images [N, H, W, C] in [0, 1] on the device."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from vaejax.data.device import styles
from vaejax.data.device.noise import bits
from vaejax.errors import UserError
from vaejax.lookup import nearest

MASKS = 'half', 'centre', 'random', 'stripes', 'any'
FACTORS = '2', '4'
NOISE, KINDS = 10, ('mask', 'small', 'grey', 'noise', 'style')  # NOISE: the number of its keys
GREY = 0.5  # of a missing part
STYLES = {name: (kind, i) for kind in styles.STYLES for i, name in enumerate(styles.names(kind))}


class Source(NamedTuple):
  """How the source of an image is made: 'mask' with one of MASKS, 'small' with a factor, 'grey',
  'noise' with a standard deviation, or 'style' with the name of one, see data/device/styles.py."""

  kind: str
  option: str = ''


def parse(text: str) -> Source:
  """The Source of a text such as 'mask:half', 'small:4', 'grey', 'noise:0.2' or 'style:thin'.
  Raises UserError."""
  kind, _, option = text.partition(':')
  choices = {'mask': MASKS, 'small': FACTORS, 'style': STYLES, 'grey': ('',)}
  if kind not in KINDS:
    raise UserError(
      f'data.source={text!r} is unknown{nearest(kind, KINDS)}. Use mask:half, small:4, grey, '
      'noise:0.2, style:inverted or, for two folders, domain:A>B'
    )
  if kind == 'noise':
    try:
      valid = 0 < float(option) < 10
    except ValueError:
      valid = False
    if not valid:
      raise UserError(f'data.source={text!r} needs a standard deviation, for example noise:0.2')
  elif option not in choices[kind]:
    names = [f'{kind}:{name}' if name else kind for name in choices[kind]]
    raise UserError(f'data.source={text!r} is unknown. Use {", ".join(names)}')
  return Source(kind, option)


def shapes(source: Source, shape: tuple[int, int, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
  """The shapes [H, W, C] of the image and of its source, from that of the data. Raises UserError
  for a size that cannot be divided."""
  height, width, channels = shape
  if source.kind == 'small':
    factor = int(source.option)
    if height % factor or width % factor:
      raise UserError(
        f'data.source=small:{factor} needs sides that {factor} divides, but images are '
        f'{width}x{height}. Set data.size'
      )
    return shape, (height // factor, width // factor, channels)
  if source.kind == 'grey' and channels != 3:
    raise UserError(f'data.source=grey needs images in colour, but these have {channels} channels')
  if source.kind == 'style':
    return (height, width, 3), (height, width, 3)
  return shape, (height, width, {'mask': channels + 1, 'grey': 1}.get(source.kind, channels))


def apply(source: Source, image: jax.Array, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
  """The images and their sources, [N, ...] in [0, 1]; random parts are drawn by the keys [N].

  The source of a mask has the missing part in grey, and a last channel that is 1 where the image is
  seen. That of noise may leave [0, 1].
  """
  keys = jax.vmap(jax.random.fold_in, (0, None))(keys, NOISE)
  if source.kind == 'small':
    return image, shrink(image, int(source.option))
  if source.kind == 'grey':
    return image, grey(image)
  if source.kind == 'noise':
    return image, image + float(source.option) * normal(keys, image.shape[1:])
  if source.kind == 'style':
    kind, number = STYLES[source.option]
    _, strength = styles.draw(kind, keys)
    styled = styles.restyle(kind, image, jnp.full(image.shape[:1], number), strength)
    return styled, jnp.broadcast_to(image, (*image.shape[:-1], 3))
  return image, hide(image, masks(source.option, keys, *image.shape[1:3]))


def hide(image: jax.Array, seen: jax.Array) -> jax.Array:
  """Images [N, H, W, C] with what is not `seen` [N, H, W, 1] in grey, and `seen` as a last
  channel."""
  seen = jnp.broadcast_to(seen, (*image.shape[:-1], 1)).astype(image.dtype)
  return jnp.concatenate([seen * image + (1 - seen) * GREY, seen], axis=-1)


def shrink(image: jax.Array, factor: int) -> jax.Array:
  """Images [..., H, W, C] of a `factor` fewer pixels along both axes: the mean of each square (a
  box filter)."""
  *batch, height, width, channels = image.shape
  x = image.reshape(*batch, height // factor, factor, width // factor, factor, channels)
  return jnp.mean(x, axis=(-4, -2))


def grey(image: jax.Array) -> jax.Array:
  """The luma [..., 1] of colours [..., 3] (Rec. 601)."""
  return jnp.sum(image * jnp.asarray(styles.LUMA), -1, keepdims=True)


def normal(keys: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Standard normal noise [N, *shape] from keys [N]."""
  return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def masks(kind: str, keys: jax.Array, height: int, width: int) -> jax.Array:
  """Where an image is seen, 1.0 or 0.0, [N, height, width, 1].

  Kinds, by what is missing: half (the right one), centre (a square of half the sides), stripes
  (every second one of 8 columns), random (a rectangle with sides of a quarter to three quarters of
  the image's, at any place), any (a quarter each: a half on any of the four sides, centre, stripes,
  random).
  """
  y, x = jnp.mgrid[:height, :width]
  fixed = {
    'half': x < width // 2,
    'centre': ~inside(y, height) | ~inside(x, width),
    'stripes': (x * 8 // width) % 2 == 0,
  }
  if kind in fixed:
    seen = jnp.broadcast_to(fixed[kind], (keys.shape[0], height, width))
    return seen[..., None].astype(jnp.float32)
  noise = (bits(keys, 6) >> 8).astype(jnp.float32) / 2**24
  seen = jax.vmap(lambda u: ~rectangle(u, y, x, height, width))(noise)
  if kind == 'any':
    halves = jnp.stack([x < width // 2, x >= width // 2, y < height // 2, y >= height // 2])
    half = halves[(noise[:, 4] * 4).astype(jnp.int32)]
    which = (noise[:, 5] * 4).astype(jnp.int32)[:, None, None]
    seen = jnp.where(which == 0, half, seen)
    seen = jnp.where(which == 1, fixed['centre'], seen)
    seen = jnp.where(which == 2, fixed['stripes'], seen)
  return seen[..., None].astype(jnp.float32)


def inside(place: jax.Array, size: int) -> jax.Array:
  """Whether positions are in the middle half of `size`."""
  return (place >= size // 4) & (place < size - size // 4)


def rectangle(u: jax.Array, y, x, height: int, width: int) -> jax.Array:
  """A random rectangle, bool [height, width], from uniform draws [4]."""
  sides = [jnp.round(n * (0.25 + 0.5 * u[i])) for i, n in enumerate((height, width))]
  top, left = (
    jnp.floor(u[2 + i] * (n - side + 1))
    for i, (n, side) in enumerate(zip((height, width), sides, strict=True))
  )
  return (y >= top) & (y < top + sides[0]) & (x >= left) & (x < left + sides[1])
