"""Batches from a table of raw rows, which is resident on the device or streamed from the host."""

import functools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from vaejax.data import fingerprint, left_out, stream
from vaejax.data.describe import describe
from vaejax.data.device import transforms
from vaejax.data.device.augment import NONE
from vaejax.data.order import Words, add, first_position, order
from vaejax.data.table import Table
from vaejax.types import Batch, Buffer, Example


class Source(NamedTuple):
  """One split of a dataset, from which batches are drawn.

  Attributes:
    example: shapes, dtypes, classes and range of what `draw` and `rows` return.
    size: number of examples.
    resident: whether the split is kept on the device.
    row_shardable: whether a part of a batch can be drawn without the rest of it.
    buffer_spec: how a buffer is sharded: a tree of PartitionSpec, or a prefix of one.
    buffers: (first step, last step) -> iterator of (buffer, number of steps that it serves), on the
      host.
    draw: (buffer, key, step, left_out=None, part=(0, 1)) -> the batch of that step, without rows of
      class number `left_out`, float32 []. With part=(i, n), part i of n equal parts of the batch.
      Pure, on the device.
    blocks: n -> iterator of buffers over the split in order, n rows each.
    rows: (buffer, index [n]) -> Batch in the split's own order; noise depends on the index alone.
  """

  example: Example
  size: int
  resident: bool
  row_shardable: bool
  buffer_spec: Any
  buffers: Callable[[int, int], Any]
  draw: Callable[..., Batch]
  blocks: Callable[[int], Any]
  rows: Callable[[Buffer, jax.Array], Batch]


GREY = 'grey'  # the field of `Source.rows` with images before they were binarised


def row_bytes(table: Table) -> int:
  """Bytes of one raw row."""
  return fingerprint.row_bytes(table.row)


def data_key(key: jax.Array) -> jax.Array:
  """The key of a run's data order and noise, from the run's own key."""
  return jax.random.fold_in(key, 1)


def position_keys(key: jax.Array, first: Words, n: int) -> jax.Array:
  """The keys of the noise at the n positions from `first` on, [n]."""
  high, low = add(first, jnp.arange(n, dtype=jnp.uint32))
  # The high word is one of two, so it is folded into the key before the rows are.
  current, following = (jax.random.fold_in(key, first[0] + np.uint32(k)) for k in (0, 1))
  keys = jnp.where(high == first[0], current, following)
  keys = jnp.where(high == 0, key, keys)
  return jax.vmap(jax.random.fold_in)(keys, low)


class SingleDevice:
  """Puts trees of host arrays on the default device. core.sharding.MeshPlacement uses a mesh."""

  def __call__(self, tree):
    return jax.tree.map(jnp.asarray, tree)

  def round_up(self, n: int) -> int:
    return n

  def local_range(self, n: int) -> tuple[int, int]:
    return 0, n

  def put_rows(self, tree, n: int, axis: int = 0):
    return self(tree)


def make(
  table: Table,
  n: int,
  kind='none',
  scale='unit',
  augmentation=NONE,
  resident=True,
  key=None,
  put=None,
  styles='',
  pairs=False,
  workers=0,
  label=None,
  source='',
) -> Source:
  """A source of batches of n examples.

  Args:
    table: the split.
    n: number of examples in one step, for all its turns.
    kind, scale, augmentation, styles, pairs, source: see transforms.prepare.
    resident: whether raw rows are stored on the device, rather than streamed from the host.
    key: a fixed key for order and noise; None uses the key of each run. A stream needs a fixed one,
      because the host computes the order.
    put: places host arrays on the devices, see SingleDevice.
    workers: processes that read a stream, see stream.read_ahead; 0 for threads.
    label: the labels of all rows, [N], if a class may be left out; the source must be resident.
  """
  put, pairs = put or SingleDevice(), bool(styles and pairs)
  prepare = partial(
    transforms.prepare,
    kind=kind,
    scale=scale,
    augmentation=augmentation,
    styles=styles,
    pairs=pairs,
    levels=table.levels,
    units=table.units,
    source=source,
  )

  def gather(buffer, slot):
    if resident and table.render is not None:
      return table.render(slot)
    return jax.tree.map(lambda rows: rows[slot], dict(buffer['rows']))

  def order_rows(buffer, order_key, first, count, without):
    """The rows at `count` positions, without those of class number `without`, or of all."""
    if without is None:
      return order(order_key, first, count, table.size)
    number, by_class = without.astype(jnp.int32), buffer['by_class']
    index = order(order_key, first, count, left_out.size(by_class, number))
    return left_out.rows(by_class, index, number)

  def draw(buffer, run_key, step, left_out=None, part=(0, 1)):
    order_key, noise_key = jax.random.split(data_key(run_key if key is None else key))
    number, parts = part
    first = first_position(step, n, number, parts)
    if resident:
      raw = gather(buffer, order_rows(buffer, order_key, first, n // parts, left_out))
    else:
      # A block is sharded over devices, so `part` is already what each of them has.
      at = lambda x: jax.lax.dynamic_index_in_dim(x, step - buffer['first'], keepdims=False)
      raw = jax.tree.map(at, dict(buffer['rows']))
    return prepare(raw, position_keys(noise_key, first, n // parts))

  def rows(buffer, index):
    keys_of = jax.vmap(partial(jax.random.fold_in, jax.random.key(0)))
    raw, keys = gather(buffer, index - buffer['first']), keys_of(index)
    before = (row_before(buffer, index), keys_of(jnp.maximum(index - 1, 0))) if pairs else None
    batch = prepare(raw, keys, before=before)
    if kind == 'none':
      return batch
    return batch | {GREY: prepare(raw, keys, kind='none')[transforms.data_field(raw)]}

  def row_before(buffer, index):
    """The raw row before each row; before the first one, that row."""
    other = jnp.maximum(index - 1, 0)
    before = gather(buffer, jnp.maximum(other - buffer['first'], 0))
    if 'before' not in buffer:
      return before
    # A block's first row has the last one of the block before it.
    inside = lambda x: (other >= buffer['first']).reshape(-1, *[1] * (x.ndim - 1))
    pick = lambda x, last: jnp.where(inside(x), x, last)
    return jax.tree.map(pick, before, dict(buffer['before']))

  if resident:

    @functools.cache
    def resident_buffer():
      """The buffer of all rows, which is put on the device at the first call."""
      raw = {} if table.render is not None else dict(table.load())
      buffer = {'rows': raw, 'first': np.int32(0)}
      if label is not None:
        buffer['by_class'] = left_out.by_class(label, table.classes)
      return put(buffer)

    def buffers(step, steps):
      if step < steps:
        yield resident_buffer(), steps - step

    def blocks(_):
      while True:
        yield resident_buffer()

  else:

    def buffers(step, steps):
      words = np.asarray(jax.random.key_data(jax.random.split(data_key(key))[0]))
      return stream.training_blocks(table, n, words, step, steps, row_bytes(table), put, workers)

    def blocks(size):
      return stream.ordered_blocks(table, size, put, pairs)

  example = describe(table, kind, scale, augmentation, styles, pairs, source)
  # Blocks of a stream are [steps, n, ...], sharded over n.
  block = PartitionSpec(None, 'data')
  replicated = PartitionSpec()
  buffer_spec = replicated if resident else {'rows': block, 'index': block, 'first': replicated}
  # The style image of a pair is made from the previous row of the batch.
  row_shardable = not pairs
  return Source(
    example, table.size, resident, row_shardable, buffer_spec, buffers, draw, blocks, rows
  )
