"""What happens to raw rows on the device: binarise, flip, restyle, scale. Each row has its key."""

import math

import jax
import jax.numpy as jnp

from vaejax.data import styles as styles_of
from vaejax.data.noise import bits

BINARISE = ('none', 'threshold', 'dynamic', 'static')
SCALES = {'unit': (0.0, 1.0), 'symmetric': (-1.0, 1.0)}

# Static binarisation is one fixed draw, the same for every run and every user, whatever the default
# generator of keys.
STATIC_SEED, GENERATOR = 20160701, 'threefry2x32'


def bernoulli(keys: jax.Array, image: jax.Array) -> jax.Array:
  """One draw per pixel of uint8 [N, ...], with probability image/255, exact at 0 and 255."""
  drawn = bits(keys, math.prod(image.shape[1:])).reshape(image.shape)
  return (drawn >> 8) * 255 < image.astype(jnp.uint32) << 24


def binarise(kind: str, image: jax.Array, keys: jax.Array, index: jax.Array) -> jax.Array:
  """uint8 [N, ...] -> float32 in [0, 1].

  kinds: none (grey levels); threshold (at one half); dynamic (a fresh draw, from `keys` [N]);
  static (the fixed draw of the example `index` [N]).
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
  """[N, ..., H, W, C], half of them mirrored left to right."""
  mirrored = jax.vmap(jax.random.bernoulli)(keys)
  mirrored = mirrored.reshape(-1, *[1] * (image.ndim - 1))
  return jnp.where(mirrored, image[..., ::-1, :], image)


def modelled(fields) -> str:
  """Which of the fields of a set is the data itself."""
  return 'video' if 'video' in fields else 'image'


def prepare(raw, keys, index, kind='none', scale='unit', flips=False, styles='', pairs=False):
  """Raw rows {field: [N, ...]} -> the batch that a model sees.

  Args:
    raw: 'image' [N, H, W, C] or 'video' [N, T, H, W, C], uint8, or float32 in its own units, and
      whatever else there is.
    keys: one key per row, for what is random; index: which example each row is, [N].
    kind, scale, flips, styles: as in a config's `data.binarise`, `data.scale`, `data.flip` and
      `data.styles`. With styles each row is in one that is drawn from its key; 'style' int32 [N]
      tells which.
    pairs: with styles, gives each row again, in a second draw of a style, as 'pair'; and what shows
      that style, the row before it in the same draw, as 'style_image'.
  """
  # Binarised before it is mirrored: a static draw belongs to the image, not to its mirror image.
  name = modelled(raw)
  real = jnp.issubdtype(raw[name].dtype, jnp.floating)  # in its own units, on both sides
  image = raw[name] if real else binarise(kind, raw[name], keys, index)
  if flips:
    image = flip(image, jax.vmap(jax.random.fold_in, (0, None))(keys, 1))
  found = {name: image}
  if styles:
    one, other = (
      styles_of.draw(styles, jax.vmap(jax.random.fold_in, (0, None))(keys, k)) for k in (2, 3)
    )
    found[name] = styles_of.restyle(styles, image, *one)
    if pairs:
      found['pair'] = styles_of.restyle(styles, image, *other)
      found['style_image'] = styles_of.restyle(styles, jnp.roll(image, 1, axis=0), *other)
  low, high = SCALES['unit' if real else scale]
  scaled = {k: v * (high - low) + low for k, v in found.items()}
  return {**raw, **scaled} | ({'style': one[0]} if styles else {})
