"""Arrays in files, whose rows are read by index. Uncompressed arrays are memory-mapped."""

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from vaejax.data import decoded
from vaejax.data.readers import hdf5, npz
from vaejax.data.readers.damaged import reading
from vaejax.errors import UserError

HDF5 = '.h5', '.hdf5', '.hdf'
MEMORY_BYTES = 2**28  # a larger compressed array is written into the cache of decoded arrays
BLOCK_BYTES = 2**25  # bytes that are read at once


class Array(NamedTuple):
  """An array in a file.

  Attributes:
    path, key: the file, and the array's name in it ('' for .npy).
    shape, dtype: of the array; object for Python objects, which are never read, and text of HDF5.
    offset: the offset of its values in the file; None if they are compressed or in chunks.
    fortran: whether its first axis varies fastest.
    extract: whether it is decompressed as a whole, because single rows are slow or impossible to
      read.
    version: changes with the file.
  """

  path: str
  key: str
  shape: tuple[int, ...]
  dtype: np.dtype
  offset: int | None = None
  fortran: bool = False
  extract: bool = False
  version: tuple[int, ...] = ()

  @property
  def nbytes(self) -> int:
    return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize


def arrays(path: Path) -> dict[str, Array]:
  """{name: Array} of a file, or of the files directly in a folder, whose names begin with the stem
  of their file.

  Raises UserError if a file is damaged.
  """
  if not path.is_dir():
    return {name or path.stem: array for name, array in of_file(path)}
  suffixes = ('.npz', '.npy', *HDF5)
  files = sorted(p for p in path.iterdir() if p.suffix.lower() in suffixes and p.is_file())
  result = {}
  for file in files:
    items = of_file(file)
    # A single array gets the name of its file: kmnist-train-imgs.npz has arr_0.
    result |= {(file.stem if len(items) == 1 else f'{file.stem}/{n}'): a for n, a in items}
  return result


def of_file(path: Path) -> list[tuple[str, Array]]:
  """The name ('' for .npy) and Array of each array of a file. Raises UserError if it is damaged."""
  version = (path.stat().st_mtime_ns, path.stat().st_size)
  fields_of = []
  with reading(path):
    if path.suffix.lower() in HDF5:
      for name, dataset in hdf5.datasets(path):
        offset, extract = hdf5.offset(dataset), hdf5.is_slow_by_row(dataset)
        fields_of.append((name, name, dataset.shape, dataset.dtype, offset, False, extract))
    elif path.suffix.lower() == '.npz':
      for name, head, offset in npz.npz(path):
        fields_of.append((name, name, head.shape, head.dtype, offset, head.fortran, offset is None))
    else:
      head, offset = npz.npy(path)
      fields_of.append(('', '', head.shape, head.dtype, offset, head.fortran, False))
  result = [(name, Array(str(path), *fields, version)) for name, *fields in fields_of]
  for name, array in result:
    is_mapped = array.offset is not None and not array.dtype.hasobject  # objects are pickled
    if is_mapped and array.offset + array.nbytes > version[1]:
      raise UserError(f'{path} is damaged: {name or "it"} ends after the file. Copy it again')
  return result


def rows(array: Array, index: np.ndarray) -> np.ndarray:
  """The rows of an array at an index [N] in any order. Raises UserError if the file is damaged."""
  if array.offset is None and not array.extract:
    with reading(array.path):
      return hdf5.read(array.path, array.key, np.asarray(index))
  return opened(array)[index]


def blocks(array: Array) -> Iterator[np.ndarray]:
  """All rows of an array in blocks, in order."""
  step = block_rows(array)
  if array.offset is None and array.path.lower().endswith(HDF5) and not array.extract:
    with reading(array.path):
      yield from hdf5.rows(array.path, array.key, step)
    return
  values = opened(array)
  for first in range(0, len(values), step):
    yield values[first : first + step]


def block_rows(array: Array) -> int:
  """The number of rows that are read at once."""
  return max(1, BLOCK_BYTES // max(1, array.nbytes // max(1, array.shape[0])))


def everything(array: Array) -> np.ndarray:
  """All values of a small array, such as labels, factors or splits. Raises UserError for Python
  objects, and if the file is damaged."""
  if array.path.lower().endswith(HDF5):
    with reading(array.path):
      return hdf5.everything(array.path, array.key)
  if array.dtype.hasobject:
    raise UserError(
      f'{array.key or "the array"} of {array.path} has Python objects, which are not read because '
      'that would run code. Save text by np.asarray(labels, dtype=str)'
    )
  return np.asarray(opened(array))


@functools.lru_cache(maxsize=8)
def opened(array: Array) -> np.ndarray:
  """An array: mapped from its file, in memory if it is small and compressed, else mapped from the
  cache of decoded arrays. Raises UserError if the file is damaged."""
  if array.offset is not None:
    order = 'F' if array.fortran else 'C'
    return np.memmap(array.path, array.dtype, 'r', array.offset, array.shape, order)
  read = hdf5.rows if array.path.lower().endswith(HDF5) else npz.rows

  def parts():
    with reading(array.path):
      yield from read(array.path, array.key, block_rows(array))

  if array.nbytes <= MEMORY_BYTES:
    result = np.empty(array.shape, array.dtype)
    first = 0
    for part in parts():
      result[first : first + len(part)] = part
      first += len(part)
    return result
  name = f'{Path(array.path).stem}-{array.key}'
  key = [os.path.realpath(array.path), array.key, *array.version]
  row = {'array': jax.ShapeDtypeStruct(array.shape[1:], array.dtype)}
  wrapped = lambda: ({'array': part} for part in parts())
  return decoded.load(name, key, row, array.shape[0], wrapped)['array']
