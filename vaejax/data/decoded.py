"""A cache of decoded splits: .npy files in the user's cache folder, read as memory maps."""

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

from vaejax.data.cache import cache_folder

Arrays = Mapping[str, np.ndarray]
Row = Mapping[str, jax.ShapeDtypeStruct]

_LAYOUT = 2  # increase it when decoding changes, so that older folders are not used
_DAY = 86400  # seconds


def load(
  name: str, key: object, row: Row, size: int, blocks: Callable[[], Iterable[Arrays]]
) -> dict[str, np.ndarray]:
  """The decoded arrays of a split. Decodes it into the cache first if it is not there.

  A folder gets its final name only when it is complete, so several writers at once are safe. A
  damaged folder is decoded again. If the cache cannot be written, the arrays are kept in memory.
  Both are logged.

  Args:
    name: the first part of the folder's name, for readers of the cache.
    key: everything that the decoded arrays depend on, as JSON.
    row: shape and dtype of each field of one row.
    size: number of rows.
    blocks: () -> decoded {field: [n, ...]} of consecutive rows.

  Returns:
    {field: [size, ...]}, memory-mapped and read-only unless the cache cannot be written.
  """
  root = str(cache_folder('decoded'))
  digest = hashlib.sha256(json.dumps([_LAYOUT, key], sort_keys=True).encode()).hexdigest()[:24]
  folder = os.path.join(root, f'{re.sub(r"[^A-Za-z0-9_]", "-", name)[:60]}-{digest}')
  if os.path.lexists(folder):
    try:
      return _open(folder, row, size)
    except (OSError, ValueError, EOFError) as error:
      _log(f'the decoded images in {folder} are damaged ({_first_line(error)}): decoding again')
      _discard(folder)
  try:
    return _write(root, folder, row, size, blocks)
  except OSError as error:
    _log(f'cannot write decoded images to {root} ({error.strerror or error}): decoding in memory')
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
  """Decodes rows 0 to size - 1 in blocks of up to 32 MB, `threads` blocks at a time.

  Threads are faster for images of about 64x64 and larger, for which PIL spends most of its time
  without the interpreter's lock. They are slower for smaller images.

  Args:
    fetch: indices [N] -> {field: [N, ...]}; called from several threads.
    size: number of rows.
    row_bytes: bytes of one decoded row.
    threads: number of blocks that are decoded at once.

  Yields:
    {field: [n, ...]}, in row order.
  """
  step = min(max(2**25 // row_bytes, 1), 4096)
  indices = [np.arange(i, min(i + step, size)) for i in range(0, size, step)]
  if threads == 1:
    yield from map(fetch, indices)
    return
  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    # In groups, so that at most `threads` blocks are in memory if the disk is slower.
    for i in range(0, len(indices), threads):
      yield from pool.map(fetch, indices[i : i + threads])


def _open(folder: str, row: Row, size: int) -> dict[str, np.ndarray]:
  """Memory maps of the arrays in a folder. Raises OSError, ValueError or EOFError for a damaged
  one.
  """
  arrays = {}
  for field, spec in row.items():
    path = os.path.join(folder, f'{field}.npy')
    array = np.load(path, mmap_mode='r', allow_pickle=False)
    shape = (size, *spec.shape)
    if not isinstance(array, np.memmap) or (array.shape, array.dtype) != (shape, spec.dtype):
      raise ValueError(f'{field}.npy does not contain {np.dtype(spec.dtype)} {list(shape)}')
    if not array.flags.c_contiguous or os.path.getsize(path) != array.offset + array.nbytes:
      raise ValueError(f'{field}.npy has the wrong length')
    arrays[field] = array
  return arrays


def _write(root, folder, row, size, blocks) -> dict[str, np.ndarray]:
  """Decodes into a temporary folder and renames it. Raises OSError if the cache cannot be
  written."""
  if not os.path.isabs(root):
    raise OSError(f'{root} is not an absolute path')
  os.makedirs(root, exist_ok=True)
  _delete_leftovers(root)
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
      # Plain writes rather than a writable memory map, which crashes on a full disk.
      for block in blocks():
        for k, file in files.items():
          file.write(np.ascontiguousarray(block[k], row[k].dtype).data)
      for file in files.values():
        file.flush()
        os.fsync(file.fileno())
    # Mapped before the rename. A map outlives its file name, so these arrays stay valid if another
    # process replaces the folder.
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
    trash = tempfile.mkdtemp(prefix='tmp-', dir=os.path.dirname(folder))
    with contextlib.suppress(OSError):
      os.rename(folder, os.path.join(trash, 'damaged'))
    shutil.rmtree(trash, ignore_errors=True)


def _delete_leftovers(root: str) -> None:
  """Deletes temporary folders of killed processes that are more than a day old."""
  for entry in os.scandir(root):
    with contextlib.suppress(OSError):
      if entry.name.startswith('tmp-') and entry.stat().st_mtime < time.time() - _DAY:
        shutil.rmtree(entry.path, ignore_errors=True)


def _first_line(error: BaseException) -> str:
  return (str(error).splitlines() or [type(error).__name__])[0]


def _log(message: str) -> None:
  print(f'vaejax: {message}', file=sys.stderr)
