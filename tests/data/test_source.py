"""A batch is a function of (seed, step), wherever the rows come from."""

import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import assert_same, batches
from running import HANGS, wait_for

from vaejax.core import sharding
from vaejax.core.devices import make_mesh
from vaejax.data import source, stream
from vaejax.data.device.augment import Augment
from vaejax.data.order import host_order
from vaejax.data.subset import subset
from vaejax.data.table import Table
from vaejax.errors import UserError

KEY = jax.random.key(11)
draw = partial(batches, key=KEY)  # unless a test gives another
ROWS = 10


def rows(size=ROWS):
  image = np.random.default_rng(0).integers(0, 256, (size, 4, 4, 1), np.uint8)
  return {'image': image, 'label': np.arange(size, dtype=np.int32)}


def table(size=ROWS, fetch=None):
  arrays = rows(size)
  row = {k: jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for k, v in arrays.items()}
  taken = lambda index: {k: v[index] for k, v in arrays.items()}
  return Table(size, row, size, lambda: arrays, fetch or taken)


def rendered(size=ROWS):
  """The same rows as a procedural set, which has nothing to load."""
  arrays = jax.tree.map(jnp.asarray, rows(size))
  plain = table(size)
  broken = lambda: pytest.fail('a rendered set was loaded')
  return plain._replace(load=broken, render=lambda index: {k: v[index] for k, v in arrays.items()})


CHANGES = Augment(flip=True, pad=1, shift=1, rotate=20.0, brightness=0.3, cutout=2)
SETTINGS = {'kind': 'dynamic', 'scale': 'symmetric', 'augmentation': CHANGES}


@pytest.mark.parametrize('size, n', [(10, 4), (3, 7)])
def test_resident_and_streamed_batches_are_the_same(size, n, monkeypatch):
  # A block of three steps: the steps below end within one.
  monkeypatch.setattr(stream, 'BLOCK_BYTES', 3 * n * source.row_bytes(table(size)))
  make = partial(source.make, n=n, key=KEY, **SETTINGS)
  resident, streamed = make(table(size)), make(table(size), resident=False)
  want = draw(resident, 0, 11)
  assert want[0]['image'].shape == (n, 4, 4, 1)
  assert_same(draw(streamed, 0, 11), want)
  # From any step, as after a resume.
  for first in (1, 5, 10):
    assert_same(draw(streamed, first, 11), want[first:])
    assert_same(draw(resident, first, 11), want[first:])
  assert_same(draw(make(rendered(size)), 0, 11), want)


@pytest.mark.parametrize('kind', ['none', 'dynamic', 'static'])
def test_eight_devices_draw_the_batch_of_one(kind):
  changes = CHANGES._replace(brightness=0.0) if kind == 'static' else CHANGES
  settings = {'kind': kind, 'augmentation': changes, 'key': KEY}
  mesh = make_mesh(8)
  if mesh.size != 8:
    pytest.skip(f'{jax.device_count()} devices')
  want = draw(source.make(table(), 8, **settings), 0, 3)
  for resident in (True, False):
    put = sharding.MeshPlacement(mesh)
    made = source.make(table(), 8, resident=resident, put=put, **settings)
    made = made._replace(draw=sharding.shard_draw(mesh, made))
    assert_same(draw(made, 0, 3), want)


def test_nothing_is_dropped_and_every_epoch_is_whole():
  found = draw(source.make(table(), 4), 0, 5)
  labels = np.concatenate([b['label'] for b in found])
  assert sorted(labels[:10]) == sorted(labels[10:]) == list(range(10))
  assert not np.array_equal(labels[:10], labels[10:])
  words = jax.random.key_data(jax.random.split(source.data_key(KEY))[0])
  assert np.array_equal(labels, host_order(np.asarray(words), np.arange(20), 10))
  for batch in found:
    assert np.allclose(batch['image'], rows()['image'][batch['label']] / np.float32(255), rtol=1e-6)


@pytest.mark.parametrize('first', [2**29 + 3, 2**30 - 2, 2**31 - 6])
def test_positions_beyond_32_bits_are_drawn_alike_and_anew(small_blocks, first):
  """Steps of 4: positions beyond 2^31, across 2^32, and the last ones that a config allows."""
  make = partial(source.make, table(), 4, 'dynamic', key=KEY)
  want = draw(make(), first, first + 4)
  assert_same(draw(make(resident=False), first, first + 4), want)
  # In 32 bits, position 2^32 + i would have the row and the noise of position i.
  again = draw(make(), first % 2**30, first % 2**30 + 4)
  if first >= 2**30:
    assert not any(np.array_equal(a['image'], b['image']) for a, b in zip(want, again, strict=True))


def test_noise_of_positions_is_of_both_words():
  position = [5, 2**32 - 1, 2**32, 2**32 + 5, 2 * 2**32 + 5]
  keys = [
    jax.random.key_data(source.position_keys(KEY, (jnp.uint32(p >> 32), jnp.uint32(p % 2**32)), 2))
    for p in position
  ]
  assert len({key.tobytes() for pair in np.asarray(keys) for key in pair}) == 9
  assert np.array_equal(keys[1][1], keys[2][0])  # a batch across 2^32
  old = jax.random.key_data(jax.vmap(jax.random.fold_in, (None, 0))(KEY, jnp.arange(5, 7)))
  assert np.array_equal(keys[0], old)


def test_order_and_noise_are_the_runs_or_the_fixed_keys():
  own, fixed = source.make(table(), 10, 'dynamic'), source.make(table(), 10, 'dynamic', key=KEY)
  other = jax.random.key(12)
  (a,), (b,), (c,) = (draw(s, 0, 1, key=k) for s, k in ((own, KEY), (own, other), (fixed, other)))
  assert_same([a], [c])
  assert not np.array_equal(a['label'], b['label'])


def test_dynamic_noise_is_fresh_at_every_step():
  grey = rows(1)['image'] // 2 + 60
  lone = table(1)._replace(load=lambda: {'image': grey, 'label': np.zeros(1, np.int32)})
  found = draw(source.make(lone, 2, 'dynamic'), 0, 3)
  drawn = {b['image'][i].tobytes() for b in found for i in range(2)}
  assert len(drawn) == 6
  found = draw(source.make(lone, 2, 'static'), 0, 3)
  assert len({b['image'][i].tobytes() for b in found for i in range(2)}) == 1


def passed(made, n, limit=ROWS):
  """Every example of a pass, and what was padding, as evaluation takes it."""
  labels, images = [], []
  take = jax.jit(made.rows)
  for number, buffer in zip(range(-(-limit // n)), made.blocks(n), strict=False):
    index = np.minimum(number * n + np.arange(n), limit - 1)
    batch = take(buffer, jnp.asarray(index))
    assert len(batch['label']) == n
    keep = number * n + np.arange(n) < limit
    labels.extend(np.asarray(batch['label'])[keep])
    images.extend(np.asarray(batch['image'])[keep])
  return labels, np.asarray(images)


def test_a_rows_static_draw_stays_with_it_in_subsets_and_differs_from_another_splits():
  index = np.asarray([7, 2, 3])
  _, whole = passed(source.make(table(), 1, 'static'), 4)
  _, part = passed(source.make(subset(table(), index), 1, 'static'), 4, 3)
  assert np.array_equal(part, whole[index])
  found = draw(source.make(table(), 5, 'static'), 0, 2)
  for batch in found:
    assert np.array_equal(batch['image'], whole[batch['label']])
  # Two splits with a nearly equal row at the same index.
  other = rows()['image'] ^ np.uint8(1)
  moved = table()._replace(load=lambda: {**rows(), 'image': other})
  _, test = passed(source.make(moved, 1, 'static'), 4)
  grey = (rows()['image'] > 60) & (rows()['image'] < 200)
  assert 0.2 < np.mean((test != whole)[grey]) < 0.7


@pytest.mark.parametrize('where', ['resident', 'streamed', 'rendered'])
@pytest.mark.parametrize('n', [4, 16])
def test_a_pass_has_every_example_once_in_order(n, where):
  split = rendered() if where == 'rendered' else table()
  labels, images = passed(source.make(split, 1, 'static', resident=where != 'streamed'), n)
  assert labels == list(range(10))
  want = passed(source.make(table(), 1, 'static'), 10)[1]
  assert np.array_equal(images, want)
  assert passed(source.make(split, 1, resident=where != 'streamed'), n, 7)[0] == list(range(7))


def test_a_training_split_can_be_passed_too():
  labels, _ = passed(
    source.make(table(), 8, 'dynamic', augmentation=Augment(flip=True), resident=False, key=KEY), 4
  )
  assert labels == list(range(10))


def test_what_a_batch_looks_like_is_told_before():
  for kind, scale in (('none', 'unit'), ('threshold', 'symmetric')):
    made = source.make(table(), 4, kind, scale)
    (batch,) = draw(made, 0, 1)
    assert {k: (f.shape, f.dtype) for k, f in made.example.fields.items()} == {
      k: (v.shape[1:], v.dtype) for k, v in batch.items()
    }
    assert made.example.levels == (256 if kind == 'none' else 2) and made.example.classes == 10
    low, high = made.example.low, made.example.high
    assert (low, high) == ((0, 1) if scale == 'unit' else (-1, 1))
    assert low <= batch['image'].min() < batch['image'].max() <= high
  assert source.row_bytes(table()) == 16 + 4


def test_a_resident_split_is_put_once():
  puts = []

  def put(tree):
    puts.append(tree)
    return jax.tree.map(jnp.asarray, tree)

  made = source.make(table(), 4, put=put)
  draw(made, 0, 2)
  draw(made, 2, 3)
  passed(made, 4)
  assert len(puts) == 1


class Reader:
  """A fetch that counts its calls, and fails from `broken` on."""

  def __init__(self, broken=10**9, seconds=0.0):
    self.calls, self.threads, self.broken, self.seconds = [], set(), broken, seconds

  def __call__(self, index):
    self.calls.append(list(index))
    self.threads.add(threading.current_thread())
    time.sleep(self.seconds)
    if len(self.calls) > self.broken:
      raise UserError('the file is damaged')
    return {k: v[index] for k, v in rows().items()}


def running(reader):
  threads = list(reader.threads)  # others may be added meanwhile
  return [t for t in threads if t.is_alive()]


# Reads that a stream of such blocks may be ahead: two blocks of three further than the one that is
# used, and an item for each thread.
AHEAD = 9 + stream.THREADS


def streaming(reader, steps=1000, n=2):
  """The blocks of a stream, of three steps each where they are small."""
  return source.make(table(fetch=reader), n, resident=False, key=KEY).buffers(0, steps)


@pytest.fixture
def small_blocks(monkeypatch):
  monkeypatch.setattr(stream, 'BLOCK_BYTES', 3 * 2 * source.row_bytes(table()))


class Part(source.SingleDevice):
  """Places rows as one process of several does, which has the middle half of them."""

  def round_up(self, n):
    return -(-n // 4) * 4

  def local_range(self, n):
    return n // 4, 3 * n // 4


def test_a_process_reads_its_own_rows_alone(monkeypatch):
  n, size = 4, 10
  monkeypatch.setattr(stream, 'BLOCK_BYTES', 3 * n * source.row_bytes(table(size)))
  reader, whole = Reader(), source.make(table(size), n, resident=False, key=KEY)
  made = source.make(table(size, reader), n, resident=False, key=KEY, put=Part())
  for (block, count), (all_of_it, all_count) in zip(
    made.buffers(1, 8), whole.buffers(1, 8), strict=True
  ):
    assert count == all_count and block['first'] == all_of_it['first']
    assert np.array_equal(block['index'], all_of_it['index'][:, 1:3])
    assert np.array_equal(block['rows']['image'], all_of_it['rows']['image'][:, 1:3])
  assert {len(index) for index in reader.calls} == {2}
  # A pass in order too; of its last block a process has perhaps no row, and then reads one.
  read = [block['rows']['label'].tolist() for block in made.blocks(4)]
  assert read == [[1, 2], [5, 6], [9, 9]]


def test_the_stream_reads_ahead_in_threads_and_stops_when_it_is_left(small_blocks):
  reader = Reader()
  blocks = streaming(reader)
  assert not reader.calls
  next(blocks)
  wait_for(lambda: len(reader.calls) >= AHEAD)
  time.sleep(0.1)
  assert len(reader.calls) == AHEAD  # and no more
  assert threading.main_thread() not in reader.threads and running(reader)
  blocks.close()
  wait_for(lambda: not running(reader))


@pytest.mark.parametrize('how', ['break', 'error'])
def test_no_thread_outlives_the_loop(small_blocks, how):
  reader = Reader(seconds=0.01)

  def loop():
    for _ in streaming(reader):
      if how == 'break':
        break
      raise ZeroDivisionError

  if how == 'break':
    loop()
  else:
    with pytest.raises(ZeroDivisionError):
      loop()
  wait_for(lambda: not running(reader))
  assert len(reader.calls) <= AHEAD


def test_a_damaged_file_is_told_as_it_is(small_blocks):
  reader = Reader(broken=4)
  with pytest.raises(UserError) as error:
    list(streaming(reader))
  assert str(error.value) == 'the file is damaged'
  wait_for(lambda: not running(reader))


ENDING = """
import atexit, contextlib, sys, time
sys.path.append('..')
import test_source as t

reader = t.Reader()
t.stream.THREADS = 4
t.stream.BLOCK_BYTES = 100 * 2 * t.source.row_bytes(t.table())

def fetch(index):
  time.sleep(0.3 if len(reader.calls) >= 100 else 0)
  return reader(index)

def loop():
  split = t.table(fetch=fetch)
  blocks = t.source.make(split, 2, resident=False, key=t.KEY).buffers(0, 10**6)
  with contextlib.closing(blocks):
    for _ in blocks:
      1 / 0

# Runs after Python has waited for all threads.
atexit.register(lambda: print(len(reader.calls)))
loop()
"""


@pytest.mark.slow
def test_a_process_that_fails_ends_at_once():
  """It reads the block that it has begun, and of the one after that no more than has begun."""
  command, here = [sys.executable, '-c', ENDING], Path(__file__).parent
  ended = subprocess.run(command, cwd=here, timeout=HANGS, capture_output=True, text=True)
  assert ended.returncode == 1 and ended.stderr.endswith('ZeroDivisionError: division by zero\n')
  assert 100 <= int(ended.stdout) < 250
