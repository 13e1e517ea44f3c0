"""Three grey images stacked as the channels of one. stacked_mnist has 1000 modes, one for each
triple of digits (Metz et al. 2017, arXiv:1611.02163, section 3.3.1)."""

from functools import partial

import jax
import numpy as np

from vaejax.data.order import host_order
from vaejax.data.table import Table
from vaejax.errors import UserError

PREFIX, CHANNELS = 'stacked_', 3
# Rows of PacGAN's training split (Lin et al. 2018), and samples with which it counts modes.
TRAIN, TEST = 128_000, 26_000


def base(name: str) -> str:
  """The dataset that is stacked: 'mnist' for 'stacked_mnist', '' for an ordinary dataset."""
  return name.removeprefix(PREFIX) if name.startswith(PREFIX) else ''


def members(position: np.ndarray, size: int) -> np.ndarray:
  """The base rows, of `size`, in the channels of the rows at `position` [N]: int32 [N, 3]. Each
  channel has a separate permutation."""
  words = (np.asarray([PREFIX.encode()[0], c], np.uint32) for c in range(CHANNELS))
  return np.stack([host_order(w, position, size) for w in words], axis=-1)


def table(rows: Table, split: str) -> Table:
  """Stacked rows of a table of grey images with classes: 'image' uint8 [H, W, 3], and a 'label'
  that enumerates the classes of its channels, the last varying fastest. There are 128,000 rows, or
  26,000 in the test split.

  Raises UserError if the table does not have grey images with classes.
  """
  shape = rows.row['image'].shape if 'image' in rows.row else ()
  if shape[2:] != (1,) or not rows.classes:
    raise UserError(
      f'{PREFIX}NAME needs a dataset of grey images with classes, but {rows.origin} is not one'
    )
  size = TEST if split == 'test' else TRAIN

  def stack(fetch, position):
    """The rows at `position` [N], where `fetch` returns rows of the table."""
    channels = [fetch(index) for index in members(position, rows.size).T]
    image = np.concatenate([c['image'] for c in channels], axis=-1)
    label = np.stack([c['label'] for c in channels], axis=-1)
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
