"""A large picture out of small tiles, band by band."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


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
  """Yields a picture in bands uint8 [h, W, C], one for each row of tiles.

  Args:
    tiles: (first, n) -> n tiles from the first on, row by row: float [n, h, w, C] in [0, 1] or
      uint8. They are resized (bicubic, smoothed where they shrink).
    at_once: about how many of them are asked for at a time.
  """
  height, width, columns = *layout.tile, layout.columns
  rows_at_once = max(1, at_once // columns)
  bottom, right = edges(layout.height, layout.rows), edges(layout.width, columns)
  for first in range(0, layout.rows, rows_at_once):
    n = min(rows_at_once, layout.rows - first)
    part = np.asarray(tiles(first * columns, n * columns))
    part = part.reshape(n, columns, *part.shape[1:])
    for row, images in enumerate(part, first):
      band = np.asarray(resized(images, height, width))[:, : bottom[row + 1] - bottom[row]]
      parts = [tile[:, : b - a] for tile, a, b in zip(band, right, right[1:], strict=False)]
      yield np.concatenate(parts, axis=1)


@jax.jit(static_argnums=(1, 2))
def resized(images: jax.Array, height: int, width: int) -> jax.Array:
  """Images [N, h, w, C], float in [0, 1] or uint8, as uint8 [N, height, width, C]."""
  x = images.astype(jnp.float32) / 255 if images.dtype == jnp.uint8 else images
  x = jax.image.resize(x, (x.shape[0], height, width, x.shape[3]), 'cubic')
  return jnp.round(jnp.clip(x, 0, 1) * 255).astype(jnp.uint8)
