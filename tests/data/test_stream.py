"""Streams read in worker processes: the same blocks as in threads, and processes that end."""

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from running import HANGS, is_alive, wait_for

from vaejax.data import source, stream
from vaejax.data.table import Table
from vaejax.errors import UserError

KEY = jax.random.key(3)


def fetch(size, broken, index):
  """Rows of 2 MB, which go through shared memory, and small ones, which do not."""
  if np.isin(index, broken).any():
    raise UserError('9.png is damaged')
  image = np.repeat(index, 2**21 // 16).reshape(-1, 2**15, 4, 1).astype(np.uint8)
  return {'image': image, 'label': index.astype(np.int32)}


def table(size=6, broken=()):
  row = {'image': jax.ShapeDtypeStruct((2**15, 4, 1), np.uint8)}
  row['label'] = jax.ShapeDtypeStruct((), np.int32)
  return Table(size, row, size, None, partial(fetch, size, broken))


def blocks(workers, first=0, last=9, rows=None):
  made = source.make(rows or table(), 2, resident=False, key=KEY, workers=workers)
  return [(jax.device_get(block), count) for block, count in made.buffers(first, last)]


def test_blocks_are_stacked_in_aligned_memory_and_padded_with_the_last():
  items = [{'a': np.full((3, 5), i, np.uint8), 'b': np.float32(i)} for i in range(3)]
  block = stream.stack(4, items)
  assert block['a'].shape == (4, 3, 5) and block['a'].dtype == np.uint8
  assert block['a'][:, 0, 0].tolist() == [0, 1, 2, 2] and block['b'].tolist() == [0, 1, 2, 2]
  assert all(array.ctypes.data % 64 == 0 for array in block.values())


@pytest.fixture
def small_blocks(monkeypatch):
  monkeypatch.setattr(stream, 'BLOCK_BYTES', 2 * 2 * source.row_bytes(table()))


def test_workers_read_the_same_blocks_as_threads(small_blocks):
  want = blocks(0)
  assert [count for _, count in want] == [2, 2, 2, 2, 1]
  for first, workers in ((0, 2), (3, 1)):
    result = blocks(workers, first)
    for (a, n), (b, m) in zip(result, blocks(0, first) if first else want, strict=True):
      assert n == m and jax.tree.structure(a) == jax.tree.structure(b)
      assert all(map(np.array_equal, jax.tree.leaves(a), jax.tree.leaves(b)))


def test_an_error_in_a_worker_is_raised_as_it_is(small_blocks):
  with pytest.raises(UserError) as error:
    blocks(1, rows=table(broken=(5,)))
  assert str(error.value) == '9.png is damaged'


@pytest.mark.parametrize('what', ['arrays', 'lock'])
def test_what_cannot_be_sent_is_an_error(what):
  held = threading.Lock() if what == 'lock' else np.zeros(stream.MAX_SENT_BYTES + 1, np.uint8)
  rows = table()._replace(fetch=lambda index: (held, fetch(6, (), index))[1])
  with pytest.raises(UserError, match='cannot be sent' if what == 'lock' else 'would copy rows'):
    blocks(1, rows=rows)


RUN = """
import multiprocessing, time
import test_stream as t

if __name__ == '__main__':
  made = t.source.make(t.table(), 2, resident=False, key=t.KEY, workers=2)
  stream = made.buffers(0, 10**6)
  next(stream)
  print(*(p.pid for p in multiprocessing.active_children()), flush=True)
  time.sleep(600)
"""


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(number, tmp_path):
  script = tmp_path / 'run.py'
  script.write_text(RUN)
  here = Path(__file__).parent
  paths = os.pathsep.join(map(str, (here, here.parent, here.parent.parent)))
  run = subprocess.Popen(
    [sys.executable, str(script)],
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
    env={**os.environ, 'PYTHONPATH': paths},
    start_new_session=True,
  )
  workers = [int(pid) for pid in run.stdout.readline().split()]
  assert len(workers) == 2 and all(map(is_alive, workers))
  for pid in workers:
    os.kill(pid, signal.SIGTERM)  # as to all processes of a job: they go on until their parent ends
  time.sleep(0.5)
  assert all(map(is_alive, workers))
  run.send_signal(number)
  run.wait(timeout=HANGS)
  wait_for(lambda: not any(map(is_alive, workers)))
