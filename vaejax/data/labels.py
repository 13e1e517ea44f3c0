"""The labels of a table without its images: how many rows have one, and the weight of each in a
batch."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.data import classes, fingerprint
from vaejax.data.table import Table

WEIGHT = 'label_weight'
SAMPLES = 100  # rows of a table that is too large to be read
BLOCK = 100_000  # labels of a procedural table that are rendered at once


class Count(NamedTuple):
  """The number of rows, and of those with a label."""

  rows: int
  labelled: int

  @property
  def unlabelled(self) -> int:
    return self.rows - self.labelled


def read(rows: Table, budget: float) -> np.ndarray | None:
  """The labels int32 [N] of a table, or None if reading them would decode more than `budget` bytes
  of images. Raises UserError if they exceed the table's number of classes."""
  if 'label' not in rows.row:
    return np.full(rows.size, classes.MISSING, np.int32)
  if rows.labels:
    label = rows.labels()
  elif rows.render:
    render = jax.jit(lambda index: rows.render(index)['label'])  # without the images
    starts = range(0, rows.size, BLOCK)
    label = np.concatenate(
      [render(np.arange(i, min(i + BLOCK, rows.size), dtype=np.int32)) for i in starts]
    )
  elif rows.size * fingerprint.row_bytes(rows.row) <= budget:
    label = rows.load()['label']
  else:
    return None
  classes.check(label := np.asarray(label), rows.classes, rows.origin)
  return label


def count(rows: Table, budget: float) -> Count | None:
  """How many rows have a label; None if that is unknown, see `read`. Raises UserError."""
  label = read(rows, budget)
  return None if label is None else Count(rows.size, int(np.sum(label >= 0)))


def sample(rows: Table) -> Count:
  """The Count of SAMPLES evenly spaced rows, whose images are decoded. Raises UserError, see
  `read`."""
  index = np.unique(np.linspace(0, rows.size - 1, SAMPLES).astype(np.int64))
  label = np.asarray(rows.fetch(index)['label'])
  classes.check(label, rows.classes, rows.origin)
  return Count(len(index), int(np.sum(label >= 0)))


def weighted(draw: Callable) -> Callable:
  """A `draw` whose batches also have WEIGHT [B]: B / L for the L rows with a label, 0 for the
  others.

  So the mean of weighted terms over all rows is their mean over the labelled rows. It also is if
  the batch is divided into equal parts, and the means of the parts are averaged.
  """

  def draw_weighted(*args):
    batch = draw(*args)
    labelled = (batch['label'] >= 0).astype(jnp.float32)
    total = jnp.sum(labelled, axis=-1, keepdims=True)
    return {**batch, WEIGHT: labelled * labelled.shape[-1] / jnp.maximum(total, 1)}

  return draw_weighted
