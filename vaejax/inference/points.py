"""Points of a latent space for the tiles of a picture, [N, D] in the order of the tiles: planes,
and a path in rows. Paths themselves are in paths.py."""

import numpy as np
from scipy import stats

from vaejax.inference.paths import between

TAIL = 0.02  # of the prior, outside a plane on either side


def plane(mean, deviation, directions: tuple[int, int], n: int) -> np.ndarray:
  """An n x n grid over two latents at the normal quantiles TAIL to 1 - TAIL, [n * n, D] row by row:
  the first latent grows to the right, the second downwards. The others are at their means.

  Args:
    mean, deviation: of the prior, [D].
  """
  across, down = directions
  steps = stats.norm.ppf(np.linspace(TAIL, 1 - TAIL, n))
  grid = np.tile(np.asarray(mean, np.float32), (n, n, 1))
  grid[..., across] += deviation[across] * steps
  grid[..., down] += (deviation[down] * steps)[:, None]
  return grid.reshape(n * n, -1)


def bilinear(corners: np.ndarray, n: int) -> np.ndarray:
  """An n x n grid between corners [4, D] (top left, top right, bottom left, bottom right), linear
  along both axes, [n * n, D]."""
  left, right = between(corners[:2], corners[2:], n)
  return np.asarray(between(left, right, n)).reshape(n * n, -1)


def snake(points: np.ndarray, columns: int) -> np.ndarray:
  """Points [N, D] in rows of `columns`, every second of which is reversed: where a row ends, the
  next begins below."""
  rows = points.reshape(-1, columns, points.shape[-1]).copy()
  rows[1::2] = rows[1::2, ::-1]
  return rows.reshape(points.shape)
