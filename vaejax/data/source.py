"""Batches from a table of raw rows, which is resident on the device or streamed from the host."""

import contextlib
import functools
import math
from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from vaejax.data import transforms
from vaejax.data.order import Words, add, first_position, host_order, order
from vaejax.data.styles import STYLES
from vaejax.data.table import Table
from vaejax.types import Example, Source


def row_bytes(table: Table) -> int:
  """Bytes of one raw row."""
  return sum(math.prod(f.shape) * f.dtype.itemsize for f in table.row.values())


def data_key(key: jax.Array) -> jax.Array:
  """The key of a run's data order and noise, from the run's own key."""
  return jax.random.fold_in(key, 1)


def describe(table: Table, kind: str, scale: str, styles: str = '', pairs=False) -> Example:
  """The Example of a table's rows after transforms.prepare."""
  name = transforms.data_field(table.row)
  *size, channels = table.row[name].shape
  data = jax.ShapeDtypeStruct((*size, 3 if styles else channels), jnp.float32)
  low, high = limits(table) if table.units else transforms.SCALES[scale]
  levels = 256 if styles else 2 if kind != 'none' else table.levels
  style = {'style': jax.ShapeDtypeStruct((), jnp.int32)} if styles else {}
  style |= {'pair': data, 'style_image': data} if styles and pairs else {}
  fields = {**table.row, name: data, **style}
  count = len(STYLES[styles]) if styles else 0
  return Example(
    fields,
    table.classes,
    low,
    high,
    levels,
    name,
    count,
    table.units,
    table.class_names,
    tuple(table.factors.items()),
  )


def limits(table: Table) -> tuple[float, float]:
  """The range of real numbers inside a method: of the values that a whole number can take if the
  table has levels, else of what pictures show."""
  units = table.units
  if table.levels and units.transform == 'none':
    ends = np.asarray([[0.0], [table.levels - 1.0]], np.float32)
    low, high = np.asarray(units.forward(ends))
  else:
    ends = np.asarray([units.low, units.high])
    low, high = (ends - units.shift) / units.scale
  return float(low.min()), float(high.max())


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
  flips=False,
  resident=True,
  key=None,
  put=None,
  styles='',
  pairs=False,
) -> Source:
  """A source of batches of n examples.

  Args:
    table: the split.
    n: number of examples in one step, for all its turns.
    kind, scale, flips, styles, pairs: see transforms.prepare.
    resident: whether raw rows are stored on the device, rather than streamed from the host.
    key: a fixed key for order and noise; None uses the key of each run. A stream needs it, because
      the host computes the order.
    put: places host arrays on the devices, see SingleDevice.
  """
  put = put or SingleDevice()
  prepare = partial(
    transforms.prepare,
    kind=kind,
    scale=scale,
    flips=flips,
    styles=styles,
    pairs=pairs,
    units=table.units,
  )

  def gather(buffer, slot):
    if resident and table.render is not None:
      return table.render(slot)
    return jax.tree.map(lambda rows: rows[slot], dict(buffer['rows']))

  def draw(buffer, run_key, step, part=(0, 1)):
    order_key, noise_key = jax.random.split(data_key(run_key if key is None else key))
    number, parts = part
    first = first_position(step, n, number, parts)
    if resident:
      index = order(order_key, first, n // parts, table.size)
      raw = gather(buffer, index)
    else:
      # A block is sharded over devices, so `part` is already what each of them has.
      at = lambda x: jax.lax.dynamic_index_in_dim(x, step - buffer['first'], keepdims=False)
      raw, index = jax.tree.map(at, (dict(buffer['rows']), buffer['index']))
    return prepare(raw, position_keys(noise_key, first, n // parts), index)

  def rows(buffer, index):
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), index)
    return prepare(gather(buffer, index - buffer['first']), keys, index)

  if resident:

    @functools.cache
    def resident_buffer():
      """The buffer of all rows, which is put on the device at the first call."""
      raw = {} if table.render is not None else dict(table.load())
      return put({'rows': raw, 'first': np.int32(0)})

    def buffers(step, steps):
      if step < steps:
        yield resident_buffer(), steps - step

    def blocks(_):
      while True:
        yield resident_buffer()

  else:

    def buffers(step, steps):
      return stream(table, n, key, step, steps, put)

    def blocks(size):
      padded = put.round_up(size)
      begin, end = put.local_range(padded)

      def read(first):
        last = min(first + size, table.size)
        index = np.arange(min(first + begin, last - 1), max(min(first + end, last), first + 1))
        return jax.tree.map(partial(pad, size=end - begin), dict(table.fetch(index)))

      with prefetch(range(0, table.size, size), read, 4) as reader:
        for first, block in zip(range(0, table.size, size), reader, strict=True):
          yield {'rows': put.put_rows(block, padded), **put({'first': np.int32(first)})}

  example = describe(table, kind, scale, styles, pairs)
  # Blocks of a stream are [steps, n, ...], sharded over n.
  block = PartitionSpec(None, 'data')
  replicated = PartitionSpec()
  buffer_spec = replicated if resident else {'rows': block, 'index': block, 'first': replicated}
  # The style image of a pair is made from the previous row of the batch.
  row_shardable = not pairs
  return Source(
    example, table.size, resident, row_shardable, buffer_spec, buffers, draw, blocks, rows
  )


def pad(rows: np.ndarray, size: int) -> np.ndarray:
  """Rows padded to `size` by repeating the last one, so that all blocks have the same shape."""
  if len(rows) == size:
    return rows
  return np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])


@contextlib.contextmanager
def prefetch(numbers: range, read, count: int, batch: int = 0):
  """A context with an iterator over read(number), which Grain's threads run `count` items ahead.
  With `batch`, the iterator is over stacks of that many items."""
  import grain

  items = grain.MapDataset.range(numbers.start, numbers.stop, numbers.step).map(read)
  options = grain.ReadOptions(num_threads=4, prefetch_buffer_size=count)
  dataset = items.to_iter_dataset(options)
  reader = iter(dataset.batch(batch, drop_remainder=False) if batch else dataset)
  # Without closing, its threads keep reading after the loop ends, and the process waits for them.
  with contextlib.closing(reader):
    yield reader


# Raw bytes of one streamed block. Two blocks are read ahead.
BLOCK_BYTES = 64 * 2**20


def stream(table: Table, n: int, key, step: int, steps: int, put) -> Iterator:
  """Blocks of consecutive steps [steps, n, ...], which are read ahead while the device computes.

  Blocks begin at multiples of their length, also after resuming. They are sharded over n, and each
  process only reads the rows of its devices.
  """
  if step >= steps:
    return
  length = max(1, BLOCK_BYTES // (row_bytes(table) * n))
  start = step - step % length
  local = put.local_range(n)
  words = np.asarray(jax.random.key_data(jax.random.split(data_key(key))[0]))

  def read(step: int):
    index = host_order(words, step * n + np.arange(*local, dtype=np.int64), table.size)
    return {'rows': dict(table.fetch(index)), 'index': index}

  with prefetch(range(start, steps), read, 2 * length, length) as reader:
    for begin, block in zip(range(start, steps, length), reader, strict=True):
      block = put.put_rows(jax.tree.map(partial(pad, size=length), block), n, axis=1)
      count = min(begin + length, steps) - max(begin, step)
      yield {**block, **put({'first': np.int32(begin)})}, count
