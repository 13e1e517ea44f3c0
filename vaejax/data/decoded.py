"""A split decoded once: its arrays as .npy files in the user's cache, read by memory-mapping."""

import concurrent.futures
import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

import jax
import numpy as np

Arrays = Mapping[str, np.ndarray]
Row = Mapping[str, jax.ShapeDtypeStruct]

_LAYOUT = 1  # raise it when decoding changes, so that older folders are not taken
_DAY = 86400


def load(
  name: str, key: object, row: Row, size: int, blocks: Callable[[], Iterable[Arrays]]
) -> dict[str, np.ndarray]:
  """Gives a split from the cache, decoding it into the cache first where it is not there.

  A folder appears under its final name only when it is whole, so writers at the same time are safe.
  A damaged one is decoded again; a cache that cannot be written is done without. Both say so.

  Args:
    name: how the folder's name starts, for whoever looks into the cache.
    key: JSON-able; everything that the decoded arrays depend on.
    row: shape and dtype of each field of one row.
    size: number of rows.
    blocks: decodes: gives {field: [n, ...]} for runs of rows, in order.

  Returns:
    {field: [size, ...]}, memory-mapped and read-only unless the cache could not be written.
  """
  root = _root()
  digest = hashlib.sha256(json.dumps([_LAYOUT, key], sort_keys=True).encode()).hexdigest()[:24]
  folder = os.path.join(root, f'{re.sub(r"[^A-Za-z0-9_]", "-", name)[:60]}-{digest}')
  if os.path.lexists(folder):
    try:
      return _open(folder, row, size)
    except (OSError, ValueError, EOFError) as error:
      _say(f'the decoded images in {folder} are damaged ({_line(error)}): decoding again')
      _discard(folder)
  try:
    return _write(root, folder, row, size, blocks)
  except OSError as error:
    _say(f'cannot keep decoded images in {root} ({error.strerror or error}): decoding in memory')
  arrays = {k: np.empty((size, *v.shape), v.dtype) for k, v in row.items()}
  start = 0
  for block in blocks():
    stop = start + len(next(iter(block.values())))
    for k, array in arrays.items():
      array[start:stop] = block[k]
    start = stop
  return arrays


def blocks(
  fetch: Callable[[np.ndarray], Arrays], size: int, row_bytes: int, threads: int
) -> Iterator[Arrays]:
  """Decodes rows 0 to size in runs of up to 32 MB, `threads` runs at a time.

  Threads gain on images of about 64x64 and more, where PIL is long outside of the interpreter's
  lock; on smaller ones they only get into each other's way.

  Args:
    fetch: indices [N] -> {field: [N, ...]}; called from several threads.
    size: number of rows.
    row_bytes: bytes of one decoded row.
    threads: how many runs are decoded at once.

  Yields:
    {field: [n, ...]}, in row order.
  """
  step = min(max(2**25 // row_bytes, 1), 4096)
  runs = [np.arange(i, min(i + step, size)) for i in range(0, size, step)]
  if threads == 1:
    yield from map(fetch, runs)
    return
  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    # In groups, so that no more than `threads` runs wait in memory for a slower disk.
    for i in range(0, len(runs), threads):
      yield from pool.map(fetch, runs[i : i + threads])


def _root() -> str:
  base = os.environ.get('XDG_CACHE_HOME') or os.path.join('~', '.cache')
  return os.path.join(os.path.expanduser(base), 'vaejax', 'decoded')


def _open(folder: str, row: Row, size: int) -> dict[str, np.ndarray]:
  """Maps a folder's arrays; OSError, ValueError or EOFError where one is not as it should be."""
  arrays = {}
  for field, spec in row.items():
    path = os.path.join(folder, f'{field}.npy')
    array = np.load(path, mmap_mode='r', allow_pickle=False)
    want = (size, *spec.shape)
    if not isinstance(array, np.memmap) or (array.shape, array.dtype) != (want, spec.dtype):
      raise ValueError(f'{field}.npy does not hold {np.dtype(spec.dtype)} {list(want)}')
    if not array.flags.c_contiguous or os.path.getsize(path) != array.offset + array.nbytes:
      raise ValueError(f'{field}.npy has the wrong length')
    arrays[field] = array
  return arrays


def _write(root, folder, row, size, blocks) -> dict[str, np.ndarray]:
  """Decodes into a temporary folder and renames it. OSError where the cache cannot be written."""
  if not os.path.isabs(root):
    raise OSError(f'{root} is not an absolute path')
  os.makedirs(root, exist_ok=True)
  _sweep(root)
  draft = tempfile.mkdtemp(prefix='tmp-', dir=root)
  try:
    with contextlib.ExitStack() as stack:
      files = {k: stack.enter_context(open(os.path.join(draft, f'{k}.npy'), 'wb')) for k in row}
      for k, file in files.items():
        header = {
          'descr': np.lib.format.dtype_to_descr(np.dtype(row[k].dtype)),
          'fortran_order': False,
          'shape': (size, *row[k].shape),
        }
        np.lib.format.write_array_header_1_0(file, header)
      # Plain writes, not a writable memory map: a full disk is an error here and a crash there.
      for block in blocks():
        for k, file in files.items():
          file.write(np.ascontiguousarray(block[k], row[k].dtype).data)
      for file in files.values():
        file.flush()
        os.fsync(file.fileno())
    # Mapped before the rename: a map outlives its name, so whatever another process does to the
    # folder from here on, these arrays stay whole.
    arrays = _open(draft, row, size)
  except BaseException:
    shutil.rmtree(draft, ignore_errors=True)
    raise
  try:
    os.rename(draft, folder)
  except OSError:  # another process was first
    shutil.rmtree(draft, ignore_errors=True)
  return arrays


def _discard(folder: str) -> None:
  """Moves a damaged folder out of the way, then deletes it; another process may do the same."""
  with contextlib.suppress(OSError):
    grave = tempfile.mkdtemp(prefix='tmp-', dir=os.path.dirname(folder))
    with contextlib.suppress(OSError):
      os.rename(folder, os.path.join(grave, 'damaged'))
    shutil.rmtree(grave, ignore_errors=True)


def _sweep(root: str) -> None:
  """Deletes what killed processes left, once it is a day old."""
  for entry in os.scandir(root):
    with contextlib.suppress(OSError):
      if entry.name.startswith('tmp-') and entry.stat().st_mtime < time.time() - _DAY:
        shutil.rmtree(entry.path, ignore_errors=True)


def _line(error: BaseException) -> str:
  return (str(error).splitlines() or [type(error).__name__])[0]


def _say(message: str) -> None:
  print(f'vaejax: {message}', file=sys.stderr)
