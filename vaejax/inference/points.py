"""Points of a latent space, as the rows of a matrix [N, D], in the order of tiles: planes, and a
path in rows."""

import jax
import numpy as np
from scipy import stats

from vaejax.errors import UserError

TAIL = 0.02  # of the prior, outside a plane on either side


def flatten(z):
  """Latents as a matrix float [N, D], and the function from such a matrix to latents."""
  leaves, structure = jax.tree.flatten(z)
  if any(x.dtype.kind != 'f' for x in leaves):
    raise UserError('the latents of this run are codes, with nothing between them. Use a mosaic')
  shapes = [x.shape[1:] for x in leaves]
  ends = np.cumsum([int(np.prod(shape)) for shape in shapes])

  def restore(flat: np.ndarray):
    parts = np.split(flat, ends[:-1], axis=1)
    parts = [x.reshape(-1, *shape) for x, shape in zip(parts, shapes, strict=True)]
    return jax.tree.unflatten(structure, parts)

  return np.concatenate([x.reshape(len(x), -1) for x in leaves], axis=1), restore


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


def between(corners: np.ndarray, n: int) -> np.ndarray:
  """An n x n grid between corners [4, D] (top left, top right, bottom left, bottom right), linear
  along both axes, [n * n, D]."""
  right = np.linspace(0, 1, n, dtype=np.float32)[None, :, None]
  down = right.reshape(n, 1, 1)
  above, below = (corners[i] + right * (corners[i + 1] - corners[i]) for i in (0, 2))
  return (above + down * (below - above)).reshape(n * n, -1)


def snake(points: np.ndarray, columns: int) -> np.ndarray:
  """Points [N, D] in rows of `columns`, every second of which is reversed: where a row ends, the
  next begins below."""
  rows = points.reshape(-1, columns, points.shape[-1]).copy()
  rows[1::2] = rows[1::2, ::-1]
  return rows.reshape(points.shape)
