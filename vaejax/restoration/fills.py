"""Baselines that fill in the missing part of a picture, as pure functions on arrays in [0, 1].

In all of them `image` is [N, H, W, C], of which only the elements are read where `seen`
[N, H, W, 1] is 1, and the result has these unchanged.
"""

from collections.abc import Iterable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.errors import UserError

EXTRA = "pip install -e '.[restore]'"


def paste(image: np.ndarray, seen: np.ndarray, other: np.ndarray) -> np.ndarray:
  """The image where it is seen, elsewhere the other one."""
  return np.where(seen > 0, image, other)


def mirror(image: np.ndarray, seen: np.ndarray) -> np.ndarray | None:
  """The picture with its own mirror image (left and right exchanged) in the missing part; None if
  some of that is missing too."""
  if ((seen == 0) & (seen[:, :, ::-1] == 0)).any():
    return None
  return paste(image, seen, image[:, :, ::-1])


def nearest(
  image: np.ndarray, seen: np.ndarray, rows: Iterable[np.ndarray], count: int
) -> tuple[np.ndarray, np.ndarray]:
  """The missing parts of the training rows that are nearest in the seen part, by squared error.

  Args:
    rows: the training images in parts [B, H, W, C].
    count: how many of the nearest rows.

  Returns:
    Pictures [N, count, H, W, C], the nearest first, and the mean of all training images [H, W, C].
  """
  n, *shape = image.shape
  mask = np.broadcast_to(seen, image.shape).reshape(n, -1).astype(np.float32)
  target = mask * image.reshape(n, -1)
  best = np.full((n, count), np.inf, np.float32)
  picks = np.zeros((n, count, target.shape[1]), np.float32)
  total, size = 0.0, 0
  for part in rows:
    flat = part.reshape(len(part), -1).astype(np.float32)
    total, size = total + flat.sum(0, dtype=np.float64), size + len(flat)
    distances = np.concatenate([best, jax.device_get(distance(target, mask, flat))], axis=1)
    order = np.argsort(distances, axis=1, kind='stable')[:, :count]
    best = np.take_along_axis(distances, order, 1)
    old = np.take_along_axis(picks, np.minimum(order, count - 1)[..., None], 1)
    picks = np.where((order < count)[..., None], old, flat[np.maximum(order - count, 0)])
  mean = (total / size).reshape(shape).astype(np.float32)
  rows = picks.reshape(n, count, *shape)
  return paste(image[:, None], seen[:, None], rows), mean


@jax.jit
def distance(target: jax.Array, mask: jax.Array, rows: jax.Array) -> jax.Array:
  """The squared error of rows [B, D] in the part that each mask [N, D] shows, [N, B], where the
  targets [N, D] are 0 elsewhere."""
  product = partial(jnp.matmul, precision='highest')
  squares = jnp.sum(jnp.square(target), axis=1, keepdims=True)
  return squares - 2 * product(target, rows.T) + product(mask, jnp.square(rows).T)


def has_skimage() -> bool:
  """Whether the extra `restore` is installed."""
  import importlib.util

  return importlib.util.find_spec('skimage') is not None


def biharmonic(image: np.ndarray, seen: np.ndarray) -> np.ndarray:
  """scikit-image's biharmonic inpainting (Damelin & Hoang 2018). Raises UserError without the extra
  `restore`.

  Rows with the same mask are solved together, as channels of one picture.
  """
  if not has_skimage():
    raise UserError(f'biharmonic inpainting needs scikit-image: {EXTRA}')
  from skimage.restoration import inpaint_biharmonic

  result = np.array(image, np.float32)
  for mask, index in by_mask(seen).values():
    stacked = np.moveaxis(image[index], 0, 2)  # [H, W, n, C]
    height, width, *channels = stacked.shape
    flat = paste(stacked.reshape(height, width, -1), mask, np.float32(0))
    filled = inpaint_biharmonic(flat, mask[..., 0] == 0, channel_axis=-1)
    result[index] = np.moveaxis(filled.reshape(height, width, *channels), 2, 0)
  return paste(image, seen, result.clip(0, 1))


def by_mask(seen: np.ndarray) -> Mapping[bytes, tuple[np.ndarray, list[int]]]:
  """{: (mask [H, W, 1], the rows that have it)} of masks [N, H, W, 1]."""
  groups: dict[bytes, tuple[np.ndarray, list[int]]] = {}
  for i, mask in enumerate(seen):
    groups.setdefault(np.packbits(mask > 0).tobytes(), (mask, []))[1].append(i)
  return groups
