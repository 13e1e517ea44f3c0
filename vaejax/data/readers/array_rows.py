"""Rows of images, or windows of videos, from an array in a file."""

import hashlib
import os
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from vaejax.data import axes, decoded, elements
from vaejax.data.axes import Axes
from vaejax.data.cached import digest
from vaejax.data.elements import Elements
from vaejax.data.fit import MODES, check_settings, fit_image, fitted_shape
from vaejax.data.readers import stores
from vaejax.data.readers.stores import Array
from vaejax.data.settings import Settings, identity
from vaejax.data.table import digests
from vaejax.errors import UserError
from vaejax.plural import counted

DIGEST_BYTES = 2**28  # arrays up to this size are hashed completely
SAMPLES = 64  # rows of a larger one that are hashed
SCAN_BYTES = 2**32  # larger arrays of floats are measured in part, and checked as they are read


class Rows(NamedTuple):
  """Rows of one split; it can be sent to other processes.

  Attributes:
    array: the images or videos of the file.
    axes, elements: how their axes and elements are converted.
    settings: how they are read.
    index: the rows of the array that are in the split, None: all.
    windows: number of windows of each video; 1 for images.
    label, factors: of each row of the split, or None.
    what: the split in words.
  """

  array: Array
  axes: Axes
  elements: Elements
  settings: Settings
  index: np.ndarray | None
  windows: int
  label: np.ndarray | None
  factors: np.ndarray | None
  what: str

  @property
  def name(self) -> str:
    return 'video' if self.settings.frames else 'image'

  @property
  def size(self) -> int:
    return count(self.array, self.axes, self.index) * self.windows

  @property
  def stored_shape(self) -> tuple[int, ...]:
    """The shape of a row before it is resized."""
    shape = axes.row_shape(self.array.shape, self.axes)
    return (self.settings.frames, *shape[1:]) if self.settings.frames else shape

  @property
  def shape(self) -> tuple[int, ...]:
    """The shape of a row."""
    stored = self.stored_shape
    return (*stored[:-3], *fitted_shape(stored[-3:], self.settings.size, self.settings.channels))

  @property
  def row(self) -> dict[str, jax.ShapeDtypeStruct]:
    """The `row` of a Table."""
    row = {self.name: jax.ShapeDtypeStruct(self.shape, np.dtype(self.elements.dtype))}
    if self.label is not None:
      row['label'] = jax.ShapeDtypeStruct((), np.int32)
    if self.factors is not None:
      row['factors'] = jax.ShapeDtypeStruct(self.factors.shape[1:], np.int32)
    return row


def count(array: Array, where: Axes, index: np.ndarray | None = None) -> int:
  """The number of images or videos."""
  return array.shape[1 if where.frames_first else 0] if index is None else len(index)


def videos(rows: Rows) -> np.ndarray:
  """The number of each window's video."""
  return np.arange(rows.size, dtype=np.int32) // rows.windows


def check(rows: Rows) -> None:
  """Raises UserError if rows cannot get the size and channels of their settings."""
  settings, channels = rows.settings, rows.stored_shape[-1]
  check_settings(settings.size, settings.channels, settings.fit)
  is_colour = rows.elements.dtype == 'uint8' and channels in MODES
  if settings.channels not in (None, channels) and not is_colour:
    raise UserError(
      f'data.channels={settings.channels} does not apply to {rows.what}, which has '
      f'{counted(channels, "channel")} of {rows.elements.dtype}. Set data.channels=0'
    )


def fetch(rows: Rows, positions: np.ndarray) -> dict[str, np.ndarray]:
  """The rows at `positions` [N], {field: [N, ...]}. Raises UserError for floats that are not
  finite."""
  positions = np.asarray(positions)
  place, window = np.divmod(positions, rows.windows)
  index = place if rows.index is None else rows.index[place]
  if rows.settings.frames:
    x = clips(rows, index, window * rows.settings.stride)
  else:
    x = stores.rows(rows.array, index)
  elements.check_finite(x, rows.what)
  x = elements.store(axes.arrange(x, rows.axes), rows.elements)
  if rows.shape != rows.stored_shape:
    settings = rows.settings
    flat = x.reshape(-1, *rows.stored_shape[-3:])
    how = settings.size, settings.channels, settings.fit, settings.background
    fitted = [fit_image(one, *how) for one in flat]
    x = np.reshape(fitted, (len(positions), *rows.shape))
  result = {rows.name: np.ascontiguousarray(x)}
  if rows.label is not None:
    result['label'] = rows.label[place]
  if rows.factors is not None:
    result['factors'] = rows.factors[place]
  return result


def clips(rows: Rows, index: np.ndarray, start: np.ndarray) -> np.ndarray:
  """The windows of the videos at `index` [N] that begin at the frames `start` [N]."""
  frames = rows.settings.frames
  if rows.axes.frames_first:
    x = stores.opened(rows.array)
    return np.stack([x[s : s + frames, i] for i, s in zip(index, start, strict=True)])
  if rows.array.offset is None and not rows.array.extract:
    x = stores.rows(rows.array, index)
    return np.stack([clip[s : s + frames] for clip, s in zip(x, start, strict=True)])
  x = stores.opened(rows.array)
  return np.stack([x[i, s : s + frames] for i, s in zip(index, start, strict=True)])


def load(rows: Rows) -> dict[str, np.ndarray]:
  """All rows, {field: [size, ...]}: mapped from the file if it has them as they are, mapped from
  the cache of decoded arrays if they are resized, else in memory."""
  is_fitted = rows.shape != rows.stored_shape
  as_stored = np.dtype(rows.elements.dtype) == rows.array.dtype and rows.elements.factor == 1
  is_mapped = rows.array.offset is not None or rows.array.extract
  if is_mapped and rows.index is None and not rows.settings.frames and not is_fitted and as_stored:
    result = {rows.name: axes.arrange(stores.opened(rows.array), rows.axes)}
    small = {'label': rows.label, 'factors': rows.factors}
    return result | {k: v for k, v in small.items() if v is not None}
  one = int(np.prod(rows.shape)) * np.dtype(rows.elements.dtype).itemsize
  blocks = lambda: decoded.blocks(partial(fetch, rows), rows.size, one, 1)
  if is_fitted:
    array, parts = rows.array, (rows.index, rows.label, rows.factors)
    key = [os.path.realpath(array.path), array.key, *array.version, rows.what]
    # Labels can be in another file, and other splits decide how elements are stored.
    key += [rows.axes, rows.elements, *(None if x is None else digest(x) for x in parts)]
    return decoded.load(rows.what, [*key, identity(rows.settings)], rows.row, rows.size, blocks)
  result = {k: np.empty((rows.size, *v.shape), v.dtype) for k, v in rows.row.items()}
  first = 0
  for block in blocks():
    last = first + len(block[rows.name])
    for k, x in block.items():
      result[k][first:last] = x
    first = last
  return result


def content(rows: Rows) -> dict[str, str]:
  """{field: digest}: of all values of the array in the file, or of SAMPLES rows if it is large."""
  array = rows.array
  size = array.shape[0]
  hasher = hashlib.blake2b(f'{array.dtype} {array.shape}'.encode(), digest_size=12)
  if array.nbytes <= DIGEST_BYTES:
    for block in stores.blocks(array):
      hasher.update(np.ascontiguousarray(block))
  else:
    index = np.unique(np.linspace(0, size - 1, SAMPLES).astype(np.int64))
    for i in index:
      hasher.update(np.ascontiguousarray(stores.rows(array, np.asarray([i]))))
  small = {'label': rows.label, 'factors': rows.factors}
  return {
    rows.name: hasher.hexdigest(),
    **digests({k: v for k, v in small.items() if v is not None}),
  }


def measure(array: Array, what: str) -> elements.Range:
  """The Range of an array, or of the part of it that decides how elements are stored."""
  return elements.measure(scanned(array), what)


def scanned(array: Array):
  """Blocks of an array that decide how its elements are stored."""
  parts = -(-array.nbytes // SCAN_BYTES)
  for i, block in enumerate(stores.blocks(array)):
    if array.dtype.kind == 'f' and i % parts:
      continue
    yield block
    # For unsigned integers it only matters whether all values are 0 and 1.
    if array.dtype == np.uint16 or (array.dtype == np.uint8 and block.max() > 1):
      return


def sample(rows: Rows, elements_count: int) -> np.ndarray:
  """Evenly spaced rows with at most about `elements_count` elements."""
  step = max(1, rows.size * int(np.prod(rows.shape)) // elements_count)
  index = np.arange(0, rows.size, step)
  one = int(np.prod(rows.shape)) * np.dtype(rows.elements.dtype).itemsize
  block = max(1, stores.BLOCK_BYTES // one)
  parts = [fetch(rows, index[i : i + block])[rows.name] for i in range(0, len(index), block)]
  return np.concatenate(parts)
