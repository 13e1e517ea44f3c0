"""Preview pictures of a method while it trains: samples, reconstructions and style transfers."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.data.source import Source
from vaejax.reporting import images
from vaejax.reporting.log import Log
from vaejax.types import Example, Method

STACK_ROWS, STACK_COLUMNS = 16, 8  # for a stack: the members shown, and the images of each


def make(method: Method, source: Source, n: int, stacked: bool = False) -> Callable:
  """Returns (variables, key) -> {name: about n images [..., H, W, C] in [0, 1]}, jitted.

  If a sample can be given its label, the classes alternate, as many of them as there are samples.
  For a stack the images are [members, ...] of its first members.
  """
  example, data = source.example, source.example.data
  *frames, _, _, _ = example.fields[data].shape
  n = max(1, min(STACK_COLUMNS if stacked else n, source.size) // math.prod(frames))
  labels = jnp.arange(n) % (example.classes or 1)
  given = {'label': labels} if 'label' in method.given else {}

  def reconstruct(variables, batch, key):
    """Reconstructions, blank for an example without the label that a method is given."""
    image = method.predict['reconstruct'](variables, batch, key)[data]
    if not method.conditional:
      return image
    labelled = (batch['label'] >= 0).reshape(-1, *[1] * (image.ndim - 1))
    return jnp.where(labelled, image, jnp.nan)

  def draw(variables, batch, key):
    sample_key, key = jax.random.split(key)
    drawn = {}
    if method.sample is not None:
      sources = {k: batch[k] for k in ('source',) if k in method.given}
      drawn['samples'] = method.sample(variables, sample_key, n, {**given, **sources})[data]
    if 'reconstruct' in method.predict:
      drawn['reconstructions'] = reconstruct(variables, batch, key)
    if 'transfer' in method.predict and example.styles and not stacked:
      drawn['transfers'] = style_table(method, variables, batch, example)
    return jax.tree.map(example.to_picture, drawn)

  @jax.jit
  def run(variables, buffer, key):
    batch = source.rows(buffer, jnp.arange(n))
    if stacked:
      variables = jax.tree.map(lambda x: x[:STACK_ROWS], variables)
      drawn = jax.vmap(draw, in_axes=(0, None, None))(variables, batch, key)
    else:
      drawn = draw(variables, batch, key)
    if 'reconstructions' in drawn:
      drawn['originals'] = example.to_picture(batch[data])
    return drawn

  buffer = next(iter(source.blocks(n)))
  return lambda variables, key: run(variables, buffer, key)


def style_table(method: Method, variables, batch, example: Example) -> jax.Array:
  """A table of images [(1 + C) (1 + S), H, W, 3]: an image of each of S styles in the first row,
  after a blank one; then C = 8 rows, each an image and its translation into those styles."""
  image = batch['image']
  styles = jnp.stack([jnp.argmax(batch['style'] == i) for i in range(example.styles)])
  styles, contents = image[styles], image[: min(8, image.shape[0])]
  s, c = styles.shape[0], contents.shape[0]
  pairs = {'image': jnp.repeat(contents, s, axis=0), 'style_image': jnp.tile(styles, (c, 1, 1, 1))}
  translated = method.predict['transfer'](variables, pairs, jax.random.key(0))['image']
  rows = jnp.concatenate([contents[:, None], translated.reshape(c, s, *image.shape[1:])], axis=1)
  first = jnp.concatenate([jnp.full_like(image[:1], jnp.nan), styles])
  return jnp.concatenate([first, rows.reshape(-1, *image.shape[1:])])


def as_shown(x, example: Example) -> np.ndarray:
  """Images or videos in [0, 1] with the channels that pictures show, see images.channels_shown."""
  return images.channels_shown(x, example.shown, colours=example.units is None)


def shown(x, example: Example) -> np.ndarray:
  """Images as Run's methods take and give them, as pictures in [0, 1] with the channels to show."""
  return as_shown(example.to_picture(example.to_data(x)) if example.units else x, example)


def write(log: Log, step: int, drawn, method: Method, example: Example, stacked=False) -> None:
  """Writes grids of the images that `make`'s function returned. For a stack, each member has a row,
  and the originals are above the reconstructions."""
  drawn = {name: as_shown(x, example) for name, x in drawn.items()}
  flat = lambda x: x.reshape(-1, *x.shape[2:]) if stacked else x
  if 'samples' in drawn:
    samples, columns = drawn['samples'], None
    if stacked:
      columns = samples.shape[1]
    elif 'label' in method.given and example.classes and 1 < example.classes <= len(samples):
      columns = example.classes  # one for each class
    log.write_image(step, 'samples', images.grid(flat(samples), columns))
  if 'originals' in drawn and not np.isnan(drawn['reconstructions']).all():
    originals, reconstructions = drawn['originals'], drawn['reconstructions']
    if stacked:
      rows = np.concatenate([originals[None], reconstructions])
      picture = images.grid(flat(rows), rows.shape[1])
    else:
      picture = images.pairs(originals, reconstructions, 16)
    log.write_image(step, 'reconstructions', picture)
  if 'transfers' in drawn:
    log.write_image(step, 'transfers', images.grid(drawn['transfers'], 1 + example.styles))
