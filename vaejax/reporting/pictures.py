"""The pictures of a run at a test: samples, reconstructions, transfers."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.reporting import images
from vaejax.reporting.log import Log
from vaejax.types import Example, Method, Source

# Of a stack of runs: so many members are shown, in a row each, by so many images.
ROWS, COLUMNS = 16, 8


def make(method: Method, source: Source, n: int, stacked: bool = False) -> Callable:
  """(variables, key) -> {name: about n images [..., H, W, C] in [0, 1]}, dispatched and not waited
  for. Where a sample may be given its label, every class comes in turn. Of a stack, [members, ...]
  of the first ones."""
  example, data = source.example, source.example.data
  *frames, _, _, _ = source.example.fields[data].shape
  n = max(1, min(COLUMNS if stacked else n, source.size) // math.prod(frames))
  labels = jnp.arange(n) % (source.example.classes or 1)
  given = {'label': labels} if 'label' in method.given else {}

  def pictures(variables, batch, key):
    sample_key, key = jax.random.split(key)
    found = {}
    if method.sample is not None:
      found['samples'] = method.sample(variables, sample_key, n, given)[data]
    if 'reconstruct' in method.predict:
      found['reconstructions'] = method.predict['reconstruct'](variables, batch, key)[data]
    if 'translate' in method.predict and source.example.styles and not stacked:
      found['transfers'] = crossed(method, variables, batch, source.example)
    return jax.tree.map(example.to_picture, found)

  @jax.jit
  def run(variables, buffer, key):
    batch = source.rows(buffer, jnp.arange(n))
    if stacked:
      first = jax.tree.map(lambda x: x[:ROWS], variables)
      found = jax.vmap(pictures, in_axes=(0, None, None))(first, batch, key)
    else:
      found = pictures(variables, batch, key)
    if 'reconstructions' in found:
      found['originals'] = example.to_picture(batch[data])
    return found

  buffer = next(iter(source.blocks(n)))
  return lambda variables, key: run(variables, buffer, key)


def crossed(method: Method, variables, batch, example) -> jax.Array:
  """Contents x styles: a row of images in all the styles, then of each of eight images itself and
  what it becomes in those styles, in rows: [(1 + C) (1 + S), H, W, 3], the first of them blank."""
  image = batch['image']
  styles = jnp.stack([jnp.argmax(batch['style'] == i) for i in range(example.styles)])
  styles, contents = image[styles], image[: min(8, image.shape[0])]
  s, c = styles.shape[0], contents.shape[0]
  pairs = {'image': jnp.repeat(contents, s, axis=0), 'style_image': jnp.tile(styles, (c, 1, 1, 1))}
  found = method.predict['translate'](variables, pairs, jax.random.key(0))['image']
  rows = jnp.concatenate([contents[:, None], found.reshape(c, s, *image.shape[1:])], axis=1)
  first = jnp.concatenate([jnp.full_like(image[:1], jnp.nan), styles])
  return jnp.concatenate([first, rows.reshape(-1, *image.shape[1:])])


def write(log: Log, step: int, found, method: Method, example: Example, stacked=False) -> None:
  """Writes the grids of what `make` gave: of a stack a row for each member."""
  found = {name: np.asarray(value) for name, value in found.items()}
  grids = of_members(found) if stacked else of_run(found, method, example)
  for name, grid in grids.items():
    log.images(step, name, grid)


def of_run(found: dict, method: Method, example: Example) -> dict[str, np.ndarray]:
  """The grids of one run; samples of every class in a column of its own."""
  grids = {}
  classes = example.classes if 'label' in method.given else None
  if 'samples' in found:
    columns = classes if classes and classes <= len(found['samples']) else None
    grids['samples'] = images.grid(found['samples'], columns)
  if 'originals' in found:
    grids['reconstructions'] = images.pairs(found['originals'], found['reconstructions'], 16)
  if 'transfers' in found:
    grids['transfers'] = images.grid(found['transfers'], 1 + example.styles)
  return grids


def of_members(found: dict) -> dict[str, np.ndarray]:
  """The grids of a stack; originals in a row above the members' reconstructions."""
  flat = lambda x: x.reshape(-1, *x.shape[2:])
  grids = {}
  if 'samples' in found:
    grids['samples'] = images.grid(flat(found['samples']), found['samples'].shape[1])
  if 'originals' in found:
    rows = np.concatenate([found['originals'][None], found['reconstructions']])
    grids['reconstructions'] = images.grid(flat(rows), rows.shape[1])
  return grids
