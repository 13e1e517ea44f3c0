"""Latents as the rows of a matrix."""

import jax
import numpy as np

from vaejax.errors import UserError


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
