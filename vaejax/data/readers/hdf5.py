"""Arrays in HDF5 files, by h5py, which the extra 'hdf5' installs."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vaejax.errors import UserError

CACHE_BYTES = 2**26  # of decompressed chunks that HDF5 keeps for each file


def library():
  """The module h5py. Raises UserError if it is not installed."""
  try:
    import h5py
  except ImportError:
    raise UserError(
      "HDF5 files need h5py, which is not installed. Run pip install 'vaejax[hdf5]'"
    ) from None
  return h5py


def datasets(path: Path) -> Iterator[tuple[str, object]]:
  """The name and h5py.Dataset of each array of a file. Raises OSError if it is damaged."""
  result = []

  def visit(name, item):
    if isinstance(item, library().Dataset) and item.shape:
      result.append((name, item))

  opened(str(path)).visititems(visit)
  yield from sorted(result)


def opened(path: str):
  """The h5py.File of a path, which stays open. Raises OSError if it is damaged."""
  status = os.stat(path)
  # A handle does not survive a fork, so each process has its own.
  return _opened(path, os.getpid(), status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=16)
def _opened(path: str, process: int, time: int, size: int):
  # Locks fail on read-only and on network disks, and nothing is written here.
  return library().File(path, 'r', rdcc_nbytes=CACHE_BYTES, locking=False)


def is_text(dataset) -> bool:
  """Whether a dataset has strings."""
  return library().check_string_dtype(dataset.dtype) is not None


def offset(dataset) -> int | None:
  """The offset of the values of a dataset in its file; None if they are in chunks or in another
  file."""
  return None if dataset.external or dataset.is_virtual else dataset.id.get_offset()


def is_slow_by_row(dataset) -> bool:
  """Whether reading one row decompresses many others."""
  return dataset.compression is not None and bool(dataset.chunks) and dataset.chunks[0] > 8


def read(path: str, key: str, index: np.ndarray) -> np.ndarray:
  """The rows of a dataset at an index [N] in any order."""
  dataset = opened(path)[key]
  unique, inverse = np.unique(index, return_inverse=True)
  out = np.empty((len(unique), *dataset.shape[1:]), dataset.dtype)
  # Ranges of consecutive rows: h5py's own index by a list is slow.
  ends = np.flatnonzero(np.diff(unique) != 1) + 1
  for begin, end in zip([0, *ends], [*ends, len(unique)], strict=True):
    first, last = int(unique[begin]), int(unique[end - 1]) + 1
    dataset.read_direct(out, np.s_[first:last], np.s_[begin:end])
  return out[inverse]


def rows(path: str, key: str, step: int) -> Iterator[np.ndarray]:
  """The rows of a dataset, in blocks of about `step` rows, in order."""
  dataset = opened(path)[key]
  chunk = dataset.chunks[0] if dataset.chunks else 1
  step = max(step // chunk, 1) * chunk
  for first in range(0, len(dataset), step):
    yield dataset[first : first + step]


def everything(path: str, key: str) -> np.ndarray:
  """All values of a small dataset; text as an array of str."""
  dataset = opened(path)[key]
  return np.asarray(dataset.asstr()[()] if is_text(dataset) else dataset[()])
