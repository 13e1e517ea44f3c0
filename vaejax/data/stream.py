"""Reads blocks of a stream ahead, in threads or in processes of Grain."""

import contextlib
import gc
import io
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import jax
import numpy as np
from absl import flags

from vaejax.data.order import host_order
from vaejax.data.table import Table
from vaejax.errors import UserError

BLOCK_BYTES = 16 * 2**20  # raw bytes of one block; the first step waits for one
MAX_SENT_BYTES = 64 * 2**20  # of an array that is sent to a worker process
MIN_SHARED_BYTES = 2**20  # of an array that workers pass in shared memory
ALIGNMENT = 64  # bytes, of arrays that JAX uses on a CPU without a copy
THREADS = max(4, min(os.cpu_count() or 1, 16))


def training_blocks(
  table: Table, n: int, words: np.ndarray, step: int, steps: int, row_bytes: int, put, workers: int
) -> Iterator:
  """Blocks of consecutive steps, which are read ahead while the device computes.

  Blocks begin at multiples of their length, also after resuming. They are sharded over n, and each
  process only reads the rows of its devices.

  Args:
    words: the data of the key of the order, uint32 [2].
    row_bytes: bytes of one row.
    put: see source.make.
    workers: processes that read, see read_ahead; 0 for threads.

  Yields:
    (a block, the number of its steps from `step` on). A block has 'rows' [steps, n, ...], 'index'
    [steps, n] and the number of its 'first' step.
  """
  if step >= steps:
    return
  length = max(1, BLOCK_BYTES // (row_bytes * n))
  start = step - step % length
  read = partial(read_step, table.fetch, words, n, put.local_range(n), table.size)

  place = partial(put.put_rows, n=n, axis=1)
  with read_ahead(range(start, steps), read, place, length, workers) as reader:
    for begin, block in zip(range(start, steps, length), reader, strict=True):
      count = min(begin + length, steps) - max(begin, step)
      yield {**block, **put({'first': np.int32(begin)})}, count


def read_step(fetch, words, n: int, local: tuple[int, int], size: int, step: int):
  """The rows of one step that this process reads: those in the range `local` of its n."""
  index = host_order(words, step * n + np.arange(*local, dtype=np.int64), size)
  return {'rows': dict(fetch(index)), 'index': index}


def ordered_blocks(table: Table, size: int, put, overlap: bool = False) -> Iterator:
  """Blocks of `size` consecutive rows of a table, {'rows': [size, ...], 'first'}, padded with the
  last row. With `overlap`, also 'before' [1, ...]: the row before the block, or the first row."""
  padded = put.round_up(size)
  begin, end = put.local_range(padded)

  def read(first):
    last = min(first + size, table.size)
    index = np.arange(min(first + begin, last - 1), max(min(first + end, last), first + 1))
    return jax.tree.map(partial(pad, size=end - begin), dict(table.fetch(index)))

  place = lambda block: put.put_rows(block, padded)
  with read_ahead(range(0, table.size, size), read, place) as reader:
    for first, block in zip(range(0, table.size, size), reader, strict=True):
      small = {'first': np.int32(first)}
      if overlap:
        small['before'] = dict(table.fetch(np.asarray([max(first - 1, 0)])))
      yield {'rows': block, **put(small)}


def stack(length: int, items: Sequence):
  """A tree of arrays [length, ...] of trees of items, the last of which is repeated.

  The memory is aligned such that a CPU device takes it without a copy.
  """

  def fill(*rows):
    shape, dtype = (length, *np.shape(rows[0])), rows[0].dtype
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    block = memory[start : start + size].view(dtype).reshape(shape)
    for i in range(length):
      block[i] = rows[min(i, len(rows) - 1)]
    return block

  return jax.tree.map(fill, *items)


def pad(rows: np.ndarray, size: int) -> np.ndarray:
  """Rows padded to `size` by repeating the last one."""
  if len(rows) == size:
    return rows
  return np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])


@contextlib.contextmanager
def read_ahead(numbers: range, read: Callable, place: Callable, batch: int = 0, workers: int = 0):
  """A context with an iterator over place(block) for the blocks of read(number).

  One block is placed, one is being placed and the next items are being read, while the caller uses
  another.

  Args:
    numbers: the arguments of `read`, in order.
    read: a number -> a tree of arrays; called from several threads or processes.
    place: a block on the host -> on the devices; called from one thread.
    batch: number of items that a block stacks, of which the last may be repeated; 0: one item.
    workers: number of processes that read, to which `read` is sent; 0: threads read. Blocks are the
      same.

  Raises UserError if `read` cannot be sent.
  """
  import grain

  items = grain.MapDataset.range(numbers.start, numbers.stop, numbers.step).map(read)
  if workers:
    check_sendable(read, workers)
    if not flags.FLAGS.is_parsed():  # Grain reads its own flags
      flags.FLAGS.mark_as_parsed()
    # A thread decodes while the process copies what is decoded into shared memory.
    dataset = items.to_iter_dataset(grain.ReadOptions(num_threads=1, prefetch_buffer_size=2))
    # Every array in shared memory has a file open. Blocks of small rows have thousands of arrays.
    large = grain.experimental.DatasetOptions(min_shm_size=MIN_SHARED_BYTES)
    dataset = grain.experimental.WithOptionsIterDataset(dataset, large)
    options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2)
    dataset = dataset.mp_prefetch(options, worker_init_fn=start_worker)
  else:
    dataset = items.to_iter_dataset(grain.ReadOptions(THREADS, prefetch_buffer_size=THREADS))
  if batch:
    dataset = dataset.batch(batch, drop_remainder=False, batch_fn=partial(stack, batch))
  placed = grain.experimental.ThreadPrefetchIterDataset(dataset.map(place), prefetch_buffer_size=1)
  reader = iter(placed)
  # Without closing, its threads keep reading after the loop ends, and the process waits for them.
  try:
    with contextlib.closing(reader):
      yield reader
  finally:
    if workers:
      # The traceback of the end of a stream refers to arrays in shared memory, and to itself.
      gc.collect()


def start_worker(number: int, count: int) -> None:
  """Prepares a worker process: it ends with its parent alone, and leaves accelerators to it."""
  # A signal to all processes of a job must not end a worker while its parent finishes a step.
  for name in ('SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'):
    if hasattr(signal, name):
      signal.signal(getattr(signal, name), signal.SIG_IGN)
  jax.config.update('jax_platforms', 'cpu')
  threading.Thread(target=end_with_parent, daemon=True).start()


def end_with_parent() -> None:
  """Waits for the end of the parent process, however it ends, and then ends this one."""
  multiprocessing.parent_process().join()
  os._exit(1)


def check_sendable(read: Callable, workers: int) -> None:
  """Raises UserError if a function cannot be sent to another process, or has large arrays."""
  import cloudpickle

  class Pickler(cloudpickle.Pickler):
    def reducer_override(self, value):
      if isinstance(value, np.ndarray) and value.nbytes > MAX_SENT_BYTES:
        raise UserError(
          f'data.workers={workers} would copy rows in memory to each worker process. Set '
          'data.workers=0, which reads them in threads'
        )
      return super().reducer_override(value)

  try:
    Pickler(io.BytesIO()).dump(read)
  except UserError:
    raise
  except Exception as error:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    raise UserError(
      f'data.workers={workers}: the reader of this data cannot be sent to worker processes '
      f'({line}). Set data.workers=0, which reads in threads'
    ) from error
