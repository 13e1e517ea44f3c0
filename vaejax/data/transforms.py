"""Transformations of raw rows on the device: binarise, flip, restyle, scale."""

import math

import jax
import jax.numpy as jnp

from vaejax.data import styles as styles_of
from vaejax.data.noise import bits

BINARISE = ('none', 'threshold', 'dynamic', 'static')
SCALES = {'unit': (0.0, 1.0), 'symmetric': (-1.0, 1.0)}

# Static binarisation is one fixed draw, the same for every run and every user. The generator is
# named because the default one can be configured.
STATIC_SEED, GENERATOR = 20160701, 'threefry2x32'


def bernoulli(keys: jax.Array, image: jax.Array) -> jax.Array:
  """A draw for each pixel of uint8 [N, ...], True with probability image / 255, exactly at 0 and
  255.
  """
  drawn = bits(keys, math.prod(image.shape[1:])).reshape(image.shape)
  return (drawn >> 8) * 255 < image.astype(jnp.uint32) << 24


def binarise(kind: str, image: jax.Array, keys: jax.Array, index: jax.Array) -> jax.Array:
  """uint8 [N, ...] -> float32 in [0, 1].

  Kinds: none (grey levels); threshold (at one half); dynamic (a draw from `keys` [N]); static (the
  fixed draw of each example, from its `index` [N]).
  """
  if kind == 'none':
    return image.astype(jnp.float32) / 255
  if kind == 'threshold':
    return (image > 127).astype(jnp.float32)
  if kind == 'static':
    fixed = jax.random.key(STATIC_SEED, impl=GENERATOR)
    keys = jax.vmap(jax.random.fold_in, (None, 0))(fixed, index)
  return bernoulli(keys, image).astype(jnp.float32)


def flip(image: jax.Array, keys: jax.Array) -> jax.Array:
  """Images [N, ..., H, W, C], each mirrored left to right with probability one half."""
  mirrored = jax.vmap(jax.random.bernoulli)(keys)
  mirrored = mirrored.reshape(-1, *[1] * (image.ndim - 1))
  return jnp.where(mirrored, image[..., ::-1, :], image)


def data_field(fields) -> str:
  """The field of a dataset that is modelled, 'image' or 'video'."""
  return 'video' if 'video' in fields else 'image'


def prepare(
  raw, keys, index, kind='none', scale='unit', flips=False, styles='', pairs=False, units=None
):
  """The batch that a model is given, from raw rows {field: [N, ...]}.

  Args:
    raw: 'image' [N, H, W, C] or 'video' [N, T, H, W, C], uint8, or real numbers in their
      units; and any other fields.
    keys: the key of each row, [N].
    index: the index of each row's example, [N].
    kind, scale, flips, styles: as in a config's `data.binarise`, `data.scale`, `data.flip` and
      `data.styles`. With styles, the style of each row is drawn by its key and returned as 'style'
      int32 [N].
    pairs: whether, with styles, the batch also has 'pair', each row in a second random style, and
      'style_image', the previous row in that style.
    units: of real numbers, see vaejax.units; None for 8 bits.
  """
  # Binarised before mirroring, because a static draw belongs to the original image.
  name = data_field(raw)
  image = units.forward(raw[name]) if units else binarise(kind, raw[name], keys, index)
  if flips:
    image = flip(image, jax.vmap(jax.random.fold_in, (0, None))(keys, 1))
  images = {name: image}
  if styles:
    first, second = (
      styles_of.draw(styles, jax.vmap(jax.random.fold_in, (0, None))(keys, k)) for k in (2, 3)
    )
    images[name] = styles_of.restyle(styles, image, *first)
    if pairs:
      images['pair'] = styles_of.restyle(styles, image, *second)
      images['style_image'] = styles_of.restyle(styles, jnp.roll(image, 1, axis=0), *second)
  low, high = SCALES['unit' if units else scale]
  scaled = {k: v * (high - low) + low for k, v in images.items()}
  return {**raw, **scaled} | ({'style': first[0]} if styles else {})
