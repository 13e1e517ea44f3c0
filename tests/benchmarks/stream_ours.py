"""One measurement of a stream, for stream.py: `python stream_ours.py PART DATASET WORKERS ...`.

Prints a line of JSON. Workers are processes; 0 are threads.
"""

import contextlib
import hashlib
import itertools
import json
import sys
import time
from functools import partial

import jax
import numpy as np
import stream_usage

from vaejax.core import sharding
from vaejax.core.devices import make_mesh
from vaejax.data import source
from vaejax.data.device.augment import Augment
from vaejax.data.readers import tfds

BATCH, CROP = 32, 224
SEED = 7


def make(dataset: str, workers: int, put=None, table=None) -> source.Source:
  """The source of batches: 256x256 JPEGs, a random crop and flips."""
  table = table or tfds.table(dataset, 'train')
  changes, put = (
    Augment(crop=CROP, flip=True),
    put or sharding.MeshPlacement(make_mesh(BATCH)),
  )
  return source.make(
    table,
    BATCH,
    augmentation=changes,
    resident=False,
    key=jax.random.key(SEED),
    put=put,
    workers=workers,
  )


def steps(made: source.Source, first: int, last: int):
  """Yields every batch of the steps from first to last - 1, on the device."""
  draw, step, key = jax.jit(made.draw), first, jax.random.key(SEED)
  for buffer, count in made.buffers(first, last):
    for _ in range(count):
      yield jax.block_until_ready(draw(buffer, key, np.int32(step)))
      step += 1


def running(dataset: str, workers: int, count: int):
  """Yields so many batches of a stream that goes on, so that its workers do too."""
  with contextlib.closing(steps(make(dataset, workers), 0, 10**6)) as stream:
    yield from itertools.islice(stream, count)


def rate(dataset: str, workers: int, batches: int, warm_up: int) -> dict:
  """Images a second after a warm-up, the processor time of one, and seconds until its end."""
  began, total = time.perf_counter(), 0.0
  for number, batch in enumerate(running(dataset, workers, batches + warm_up)):
    total += float(batch['image'][0, 0, 0, 0])
    if number == warm_up - 1:
      start, used = time.perf_counter(), stream_usage.processor_seconds()
    if number == batches + warm_up - 1:  # before the workers end
      seconds = time.perf_counter() - start
      used = stream_usage.processor_seconds() - used
  images = batches * BATCH
  return {
    'rate': images / seconds,
    'processor_ms': 1000 * used / images,
    'first': start - began,
    'sum': total,
  }


def memory(dataset: str, workers: int, batches: int) -> dict:
  """Memory of this process and its workers at a tenth of the batches, at the end, and its peak."""
  taken = []
  for number, _ in enumerate(running(dataset, workers, batches)):
    if number % max(1, batches // 40) == 0 and number >= batches // 10:
      taken.append(stream_usage.memory_mib())
  return {'first': taken[0], 'last': taken[-1], 'peak': max(taken), 'samples': len(taken)}


def wait(dataset: str, workers: int, count: int) -> dict:
  """The share of time for which steps that sleep 100 ms wait for their data, after the first."""
  waited, done, ready = [], 0, time.perf_counter()
  with contextlib.closing(make(dataset, workers).buffers(0, 10**6)) as blocks:
    for _, length in blocks:
      waited.append(time.perf_counter() - ready)
      for _ in range(length):
        time.sleep(0.1)
      done, ready = done + length, time.perf_counter()
      if done >= count:
        break
  later = sum(waited[1:])
  return {'first': waited[0], 'share': later / (later + 0.1 * done), 'blocks': len(waited)}


def digest(batch) -> str:
  parts = [np.asarray(batch[name]).tobytes() for name in sorted(batch)]
  return hashlib.blake2b(b''.join(parts), digest_size=8).hexdigest()


def resume(dataset: str, workers: int, last: int) -> dict:
  """Whether a stream that begins in the middle has the same batches, with threads and workers."""
  full = [digest(batch) for batch in steps(make(dataset, workers), 0, last)]
  middle = last // 2 + 1
  again = [digest(batch) for batch in steps(make(dataset, workers), middle, last)]
  threads = [digest(batch) for batch in steps(make(dataset, 0), middle, last)]
  assert len(set(full)) == last
  return {'equal': again == full[middle:], 'equal_to_threads': threads == full[middle:]}


def rows(dataset: str, workers: int, count: int, address: str, number: int) -> dict:
  """The examples of so many steps, a list a step, that process `number` of two reads; of a single
  process if there is no address."""
  if address:
    jax.distributed.initialize(address, 2, number)
  table, read = tfds.table(dataset, 'train'), {}

  def fetch(index):
    read[tuple(index.tolist())] = True
    return table.fetch(index)

  made = make(dataset, workers, table=table._replace(fetch=fetch))
  steps = []
  for block, length in made.buffers(0, count):
    (shard,) = block['index'].addressable_shards
    steps += np.asarray(shard.data)[:length].tolist()
  # What is on its device is what it has read, and nothing else.
  assert all(tuple(step) in read for step in steps) and {len(r) for r in read} == {len(steps[0])}
  if address:
    jax.distributed.shutdown()
  return {'rows': steps}


def main():
  part, dataset, workers, *rest = sys.argv[1:]
  values = [int(word) if word.isdecimal() else word for word in rest]
  print(json.dumps(partial(globals()[part], dataset, int(workers))(*values)), flush=True)


if __name__ == '__main__':
  main()
