"""Scores of pictures that were translated from one domain to another: similarity to the true ones,
retrieval among them, and which domain a linear probe takes them for."""

from collections.abc import Callable, Mapping
from functools import cache, partial

import jax
import numpy as np

from vaejax.metrics import linear_probe, retrieval
from vaejax.perceptual import compare, lpips

AT_ONCE = 100  # pictures
RIDGE = 0.01  # of the probe; on emoji best of 1e-4 to 1 on a fifth of the training split
FIRST = 1, 5  # retrieval among so many
BETTER = compare.BETTER | {'probe': 'higher'} | {f'top{k}': 'higher' for k in FIRST}


def similarities(
  outputs: Mapping[str, np.ndarray], truth: np.ndarray, size: int
) -> dict[str, dict[str, np.ndarray]]:
  """{measure: {name: [N]}} of {name: pictures [N, H, W, C]} and the true pictures, see
  perceptual/compare.py. For LPIPS, pictures are enlarged to a shorter side of `size`."""
  x, y = np.concatenate(list(outputs.values())), np.tile(truth, (len(outputs), 1, 1, 1))
  values = compare.similarities(x, y, ('psnr', 'ssim'))
  nets = tuple(name for name in compare.BETTER if name not in values)
  values |= compare.similarities(enlarged(x, size), enlarged(y, size), nets)
  of_each = lambda x: dict(zip(outputs, np.split(x, len(outputs)), strict=True))
  return {name: of_each(x) for name, x in values.items()}


def retrieved(
  outputs: Mapping[str, np.ndarray], truth: np.ndarray, size: int, progress: Callable[[], None]
) -> dict[str, dict[str, np.ndarray]]:
  """{'top1', 'top5': {name: [N]}}: whether the true picture of each row is among the first of all
  true ones, in the order of LPIPS with AlexNet, 1.0 or 0.0."""
  embed = in_parts(program(lpips.embedding), size)
  gallery, values = embed(truth), {f'top{k}': {} for k in FIRST}
  for name, x in outputs.items():
    distances = np.asarray(retrieval.squared_distances(embed(x), gallery))
    for k in FIRST:
      values[f'top{k}'][name] = retrieval.recall(distances, k)
    progress()
  return values


def judged(
  outputs: Mapping[str, np.ndarray], first: np.ndarray, second: np.ndarray, size: int
) -> dict[str, np.ndarray]:
  """{name: [N]}: whether a linear probe takes pictures for those of the second domain, 1.0 or 0.0.
  It is fitted to pictures of both, [M, H, W, C] each, by the means over positions of AlexNet's maps
  (see lpips.pooled)."""
  features = in_parts(program(lpips.pooled), size)
  probe = linear_probe.fit(features(first), features(second), RIDGE)
  return {name: probe.judges(features(x)) for name, x in outputs.items()}


def enlarged(x: np.ndarray, size: int) -> np.ndarray:
  """Pictures [N, H, W, C], bilinearly enlarged (half-pixel centres) to a shorter side of `size` if
  theirs is shorter."""
  height, width = x.shape[1:3]
  if (side := min(height, width)) >= size:
    return x
  shape = round(height * size / side), round(width * size / side)
  return np.concatenate([np.asarray(resize(part, shape)) for part in parts_of(x)])[: len(x)]


@partial(jax.jit, static_argnums=1)
def resize(x: jax.Array, size: tuple[int, int]) -> jax.Array:
  """Pictures [N, H, W, C] at another size, bilinearly."""
  return jax.image.resize(x, (x.shape[0], *size, x.shape[-1]), 'linear')


@cache
def program(make: Callable) -> Callable[[jax.Array], jax.Array]:
  """The jitted function that `make`, of perceptual/lpips.py, returns for AlexNet. It takes seconds
  to compile, so it is made once."""
  return jax.jit(make('alex'))


def in_parts(program: Callable, size: int) -> Callable[[np.ndarray], np.ndarray]:
  """A function of a batch of pictures as one of any number, which are enlarged to `size`."""

  def apply(x: np.ndarray) -> np.ndarray:
    rows = [np.asarray(program(part)) for part in parts_of(enlarged(x, size))]
    return np.concatenate(rows)[: len(x)]

  return apply


def parts_of(x: np.ndarray):
  """The rows in parts of at most AT_ONCE, the last one padded, so that all have one shape."""
  size = min(AT_ONCE, len(x))
  x = np.pad(x, [(0, -len(x) % size), *[(0, 0)] * (x.ndim - 1)])
  return np.split(x, len(x) // size)


def protocol(shape, size: int) -> dict[str, str]:
  """How pictures of a shape [H, W, C] are compared, for a protocol."""
  height, width, channels = shape
  scale = max(1.0, size / min(height, width))
  shown = round(height * scale), round(width * scale)
  how = {} if scale == 1 else {'enlarged for LPIPS, probe and retrieval': f'{shown[0]}x{shown[1]}'}
  return compare.protocol((*shown, channels)) | how
