"""Transformations of raw rows on the device: augment, binarise, restyle, scale."""

import math

import jax
import jax.numpy as jnp

from vaejax.data.device import degrade
from vaejax.data.device import styles as styles_of
from vaejax.data.device.augment import NONE, Augment, augment
from vaejax.data.device.noise import bits, threefry
from vaejax.units import Units

BINARISE = ('none', 'threshold', 'dynamic', 'static')
SCALES = {'unit': (0.0, 1.0), 'symmetric': (-1.0, 1.0)}

# The generator is named because the default one can be configured.
STATIC_SEED, GENERATOR = 20160701, 'threefry2x32'


def bernoulli(keys: jax.Array, image: jax.Array, levels: int = 256) -> jax.Array:
  """A draw bool [N, ...] for each pixel from 0 to levels - 1: True with probability
  pixel / (levels - 1), so never at 0 and always at levels - 1."""
  drawn = bits(keys, math.prod(image.shape[1:])).reshape(image.shape)
  return (drawn >> 8) * (levels - 1) < image.astype(jnp.uint32) << 24


def static_keys(image: jax.Array) -> jax.Array:
  """A key [N] for each of the images uint8 [N, ...]: a hash of its pixels."""
  pixels = image.reshape(image.shape[0], -1).astype(jnp.uint32)
  fixed = jax.random.key(STATIC_SEED, impl=GENERATOR)
  weights = jax.random.bits(fixed, (2, pixels.shape[1]), jnp.uint32)
  first, second = (jnp.sum(pixels * w, axis=1, dtype=jnp.uint32) for w in weights)
  words = threefry(*jax.random.key_data(fixed), first, second)
  return jax.random.wrap_key_data(jnp.stack(words, axis=-1), impl=GENERATOR)


def binarise(kind: str, image: jax.Array, keys: jax.Array, levels: int = 256) -> jax.Array:
  """uint8 [N, ...] -> float32 in [0, 1].

  Kinds: none (grey levels); threshold (at one half); dynamic (a draw from `keys` [N]); static (the
  fixed draw of each image, which depends on its pixels alone: it is the same in every run, split,
  subset and order, and equal images have equal draws).

  Grey levels are k / (levels - 1), where k is the nearest of the `levels` values.
  """
  if kind == 'threshold':
    return (image > 127).astype(jnp.float32)
  keys = static_keys(image) if kind == 'static' else keys
  level = grid(image, levels)
  if kind == 'none':
    return level.astype(jnp.float32) / (levels - 1)
  return bernoulli(keys, level, levels).astype(jnp.float32)


def grid(image: jax.Array, levels: int) -> jax.Array:
  """The nearest of `levels` evenly spaced values, 0 to levels - 1, of each pixel of uint8 [...]."""
  if levels == 256:
    return image
  return (image.astype(jnp.int32) * (2 * levels - 2) + 255) // 510


def data_field(fields) -> str:
  """The field of a dataset that is modelled, 'image' or 'video'."""
  return 'video' if 'video' in fields else 'image'


def prepare(
  raw,
  keys,
  kind='none',
  scale='unit',
  augmentation: Augment = NONE,
  styles='',
  pairs=False,
  levels: int = 256,
  units: Units | None = None,
  before=None,
  source='',
):
  """The batch that a model is given, from raw rows {field: [N, ...]}.

  Args:
    raw: 'image' [N, H, W, C] or 'video' [N, T, H, W, C], uint8, or real numbers in their
      units; 'source', if it is not made from the image; and any other fields.
    keys: the key of each row, [N].
    kind, scale, styles: as in a config's `data.binarise`, `data.scale` and `data.styles`. With
      styles, the style of each row is drawn by its key and returned as 'style' int32 [N].
    augmentation: the fields of `data.augment`.
    pairs: whether, with styles, the batch also has 'pair', each row in a second random style, and
      'style_image', the previous row in that style.
    levels: the number of values of an 8-bit element.
    units: of real numbers, see vaejax.units; None for 8 bits.
    before: (raw, keys) of the row before each row; None: the one before it in the batch.
    source: as in a config's `data.source`; the batch then has 'source', changed as the image is.
  """
  name = data_field(raw)
  # A static draw belongs to the original image. A dynamic one may be mirrored after it is drawn.
  late = kind == 'static' or (kind == 'dynamic' and augmentation.only_flips)

  def unstyled(image, keys):
    image = units.forward(image) if units else image
    if not late:
      image = augment(augmentation, image, keys, 0 if units else levels)
    image = image if units else binarise(kind, image, keys, levels)
    return augment(augmentation, image, keys, 2) if late else image

  image = unstyled(raw[name], keys)
  images = {name: image}
  if styles:
    first, second = (
      styles_of.draw(styles, jax.vmap(jax.random.fold_in, (0, None))(keys, k)) for k in (2, 3)
    )
    images[name] = styles_of.restyle(styles, image, *first)
    if pairs:
      images['pair'] = styles_of.restyle(styles, image, *second)
      other = unstyled(before[0][name], before[1]) if before else jnp.roll(image, 1, axis=0)
      images['style_image'] = styles_of.restyle(styles, other, *second)
  if source:
    other = unstyled(raw['source'], keys) if 'source' in raw else image
    images[name], images['source'] = degrade.apply(source, image, other, keys)
  low, high = SCALES['unit' if units else scale]
  scaled = {k: v * (high - low) + low for k, v in images.items()}
  return {**raw, **scaled} | ({'style': first[0]} if styles else {})
