"""Images stacked as the three channels of one: stacked_mnist has 1000 modes, a digit in each
(Metz et al. 2017, arXiv:1611.02163, section 3.3.1)."""

from functools import partial

import jax
import numpy as np

from vaejax.data.order import host_order
from vaejax.data.table import Table
from vaejax.errors import UserError

PREFIX, CHANNELS = 'stacked_', 3
TEST = 26_000  # as many as samples are customarily drawn to count modes


def base(name: str) -> str:
  """The set that is stacked: 'mnist' of 'stacked_mnist'; '' where none is."""
  return name.removeprefix(PREFIX) if name.startswith(PREFIX) else ''


def members(position: np.ndarray, size: int) -> np.ndarray:
  """The rows of the base, of `size`, in each channel of the rows at `position` [N]: int32 [N, 3],
  each channel in an order of its own that leaves none out."""
  words = (np.asarray([PREFIX.encode()[0], c], np.uint32) for c in range(CHANNELS))
  return np.stack([host_order(w, position, size) for w in words], axis=-1)


def table(rows: Table, split: str) -> Table:
  """Rows of a set with classes, made grey and stacked: 'image' uint8 [H, W, 3], and the 'label'
  that counts the classes of its channels, the last one fastest. As many rows as the base has, or,
  of the test split, 26,000.

  Raises UserError where the base is not of grey images with classes.
  """
  shape = rows.row['image'].shape if 'image' in rows.row else ()
  if shape[2:] != (1,) or not rows.classes:
    raise UserError(f'{PREFIX}...: it stacks grey images with classes, which {rows.origin} has not')
  size = TEST if split == 'test' else rows.size

  def stack(fetch, position):
    """Rows of which `fetch` gives the channels."""
    found = [fetch(index) for index in members(position, rows.size).T]
    image = np.concatenate([f['image'] for f in found], axis=-1)
    label = np.stack([f['label'] for f in found], axis=-1)
    label = label @ rows.classes ** np.arange(CHANNELS)[::-1]
    return {'image': image, 'label': label.astype(np.int32)}

  def load():
    arrays = rows.load()
    return stack(lambda index: {k: v[index] for k, v in arrays.items()}, np.arange(size))

  row = {
    'image': jax.ShapeDtypeStruct((*shape[:2], CHANNELS), np.uint8),
    'label': jax.ShapeDtypeStruct((), np.int32),
  }
  origin = f'{PREFIX}{rows.origin}'
  fetch = partial(stack, rows.fetch)
  return Table(size, row, rows.classes**CHANNELS, load, fetch, origin=origin)
