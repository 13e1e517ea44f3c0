"""A large picture out of small tiles, band by band."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

BAND = 2**20  # pixels


class Layout(NamedTuple):
  """Where tiles are in a picture.

  Attributes:
    rows, columns: the number of tiles.
    height, width: of the picture in pixels. If they are no multiples, some tiles are a pixel larger
      than others.
  """

  rows: int
  columns: int
  height: int
  width: int

  @property
  def tile(self) -> tuple[int, int]:
    """The height and width of the largest tile."""
    return -(-self.height // self.rows), -(-self.width // self.columns)


def edges(pixels: int, tiles: int) -> np.ndarray:
  """The first pixel of each tile, and the end of the last, [tiles + 1]."""
  return np.round(np.linspace(0, pixels, tiles + 1)).astype(int)


def fitted(pixels: int, rows: int, columns: int, shape) -> Layout:
  """The layout of tiles of a shape [h, w, C], whose longer side has `pixels`."""
  height, width = rows * shape[0], columns * shape[1]
  scale = pixels / max(height, width)
  return Layout(rows, columns, max(rows, round(height * scale)), max(columns, round(width * scale)))


def bands(layout: Layout, tiles: Callable[[int, int], np.ndarray], at_once: int = 256) -> Iterator:
  """Yields a picture in bands uint8 [h, W, C], one or more for each row of tiles: of about as many
  pixels as BAND, however large the picture is.

  Args:
    tiles: (first, n) -> n tiles from the first on, row by row: float [n, h, w, C] in [0, 1] or
      uint8. They are resized (bicubic, smoothed where they shrink).
    at_once: about how many of them are asked for at a time.
  """
  (height, width), columns = layout.tile, layout.columns
  rows_at_once = max(1, at_once // columns)
  bottom, right = edges(layout.height, layout.rows), edges(layout.width, columns)
  strip = max(1, min(height, BAND // layout.width))
  for first in range(0, layout.rows, rows_at_once):
    n = min(rows_at_once, layout.rows - first)
    part = np.asarray(tiles(first * columns, n * columns))
    part = part.reshape(n, columns, *part.shape[1:])
    for row, images in enumerate(part, first):
      size = bottom[row + 1] - bottom[row]
      for top in range(0, size, strip):
        band = np.asarray(resized(images, (height, width), strip, top))[:, : size - top]
        parts = [tile[:, : b - a] for tile, a, b in zip(band, right, right[1:], strict=False)]
        yield np.concatenate(parts, axis=1)


@jax.jit(static_argnums=(1, 2))
def resized(images: jax.Array, size: tuple[int, int], strip: int, top) -> jax.Array:
  """The `strip` rows from `top` on of images [N, h, w, C], float in [0, 1] or uint8, at a size:
  uint8 [N, strip, width, C]."""
  x = images.astype(jnp.float32) / 255 if images.dtype == jnp.uint8 else images
  n, height, width, channels = x.shape
  scale = jnp.asarray((size[0] / height, size[1] / width), jnp.float32)
  move = jnp.stack([-jnp.asarray(top, jnp.float32), jnp.zeros(())])
  shape = n, strip, size[1], channels
  x = jax.image.scale_and_translate(x, shape, (1, 2), scale, move, 'cubic')
  return jnp.round(jnp.clip(x, 0, 1) * 255).astype(jnp.uint8)
