"""Shapes with the factors of dSprites (Matthey et al. 2017), rendered on the device.

737,280 binary images: shape 3 (square, ellipse, heart) x scale 6 x orientation 40 x column 32 x
row 32, the last varying fastest. An image is a pure function of its index, so nothing is stored.
The test split is a random tenth, chosen by a fixed permutation.
"""

from __future__ import annotations  # JAX is imported where rows are made

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  import jax

DRAWN = True
SUITS = {
  'data.binarise': 'threshold',
  'model.likelihood': 'bernoulli',
  'model.net': 'conv',
  'model.channels': (32, 32, 64, 64),
  'model.kernel': 4,
  'model.widths': (256,),
  'model.latents': 10,
}
FACTORS = {'shape': 3, 'scale': 6, 'orientation': 40, 'column': 32, 'row': 32}
SIZE = math.prod(FACTORS.values())
TEST = SIZE // 10


def factors(index: jax.Array) -> jax.Array:
  """The five factors of each index [N] from 0 to 737,279: int32 [N, 5], each from 0."""
  import jax.numpy as jnp

  columns = []
  for count in reversed(FACTORS.values()):
    columns.append(index % count)
    index = index // count
  return jnp.stack(columns[::-1], axis=-1)


def render(values: jax.Array, size: int = 64) -> jax.Array:
  """Images uint8 [N, size, size, 1] of 0 and 255, from factors int32 [N, 5]."""
  import jax.numpy as jnp

  shape, scale, orientation, column, row = (v[:, None, None] for v in values.T.astype(jnp.float32))
  radius = 12 * (0.5 + 0.1 * scale)
  angle = 2 * math.pi * orientation / FACTORS['orientation']
  pixels = (jnp.arange(size) + 0.5) * (64 / size)
  x = (pixels[None, None, :] - (16.5 + column)) / radius
  y = (pixels[None, :, None] - (16.5 + row)) / radius
  u = jnp.cos(angle) * x + jnp.sin(angle) * y
  v = jnp.cos(angle) * y - jnp.sin(angle) * x
  square = jnp.maximum(jnp.abs(u), jnp.abs(v)) <= 0.8
  # The bounds are slightly above 1 and 0, so that no pixel's centre is so close to an edge that
  # rounding, which differs between devices, decides it.
  ellipse = jnp.square(u) + jnp.square(v / 0.6) <= 1.007
  a, b = jnp.square(1.15 * u), -1.15 * v + 0.1
  heart = (a + b**2 - 1) ** 3 - a * b**3 <= 0.0045
  inside = jnp.where(shape == 0, square, jnp.where(shape == 1, ellipse, heart))
  return inside[..., None].astype(jnp.uint8) * 255


def table(split: str, size: int | None = None, channels=None, fit='resize', frames=None):
  """The 'train' or 'test' split at 64x64, or rendered at another `size`."""
  import jax
  import jax.numpy as jnp

  from vaejax.data.device.transforms import GENERATOR
  from vaejax.data.order import permutation
  from vaejax.data.table import rendered

  first, count = (0, SIZE - TEST) if split == 'train' else (SIZE - TEST, TEST)

  def rows(index):
    position = jnp.asarray(index) + first
    values = factors(permutation(jax.random.key(0, impl=GENERATOR), position, SIZE))
    image = jnp.repeat(render(values, size or 64), channels or 1, axis=-1)
    return {'image': image, 'label': values[:, 0], 'factors': values}

  return rendered(count, rows, 3, f'shapes {split}')._replace(factors=FACTORS)
