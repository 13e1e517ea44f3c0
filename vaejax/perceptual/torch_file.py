"""Reading tensors from a file of torch.save, without torch and without running code."""

import io
import pickle
import zipfile
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np

from vaejax.perceptual.unpickle import AllowList

STORAGES = {
  'FloatStorage': np.float32,
  'DoubleStorage': np.float64,
  'HalfStorage': np.float16,
  'LongStorage': np.int64,
  'IntStorage': np.int32,
}
# The first two pickles of a file in the format before version 1.6, which is not a zip file.
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


class Storage(NamedTuple):
  """Where the elements of tensors are: a key of the file, and their type."""

  key: str
  dtype: Any
  size: int


class Tensor(NamedTuple):
  """A view of a storage: offset, shape and strides in elements."""

  storage: Storage
  offset: int
  shape: tuple[int, ...]
  strides: tuple[int, ...]


def _tensor(storage, offset, shape, strides, *others) -> Tensor:
  """The arguments of torch._utils._rebuild_tensor_v2 as a Tensor."""
  return Tensor(storage, offset, tuple(shape), tuple(strides))


ALLOWED = {
  ('collections', 'OrderedDict'): OrderedDict,
  ('torch._utils', '_rebuild_tensor_v2'): _tensor,
  ('torch._utils', '_rebuild_parameter'): lambda tensor, *others: tensor,
  **{('torch', name): dtype for name, dtype in STORAGES.items()},
}


def _stored(pid) -> Storage:
  """The storage of a persistent id ('storage', type, key, device, size, ...)."""
  kind, dtype, key, _, size = pid[:5]
  if kind != 'storage':
    raise pickle.UnpicklingError(f'{kind!r} is not a storage')
  return Storage(str(key), np.dtype(dtype), int(size))


def arrays(data: bytes) -> dict[str, np.ndarray]:
  """{name: array} of the state dict that torch.save wrote, in its zip format or in that before
  version 1.6.

  Raises ValueError for another file, and pickle.UnpicklingError for one that holds more than
  tensors.
  """
  tree, storages = _read_zip(data) if data[:2] == b'PK' else _read_legacy(data)
  if not isinstance(tree, dict) or not all(isinstance(x, Tensor) for x in tree.values()):
    raise ValueError('it is not a state dict of tensors')
  return {name: _view(tensor, storages[tensor.storage.key]) for name, tensor in tree.items()}


def _view(tensor: Tensor, elements: np.ndarray) -> np.ndarray:
  """The array of a tensor; numpy checks that it lies within its storage."""
  size = elements.dtype.itemsize
  strides = tuple(size * n for n in tensor.strides)
  view = np.ndarray(tensor.shape, elements.dtype, elements, size * tensor.offset, strides)
  return view.copy()


def _read_zip(data: bytes):
  """The pickled tree and {key: elements} of the zip format."""
  try:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
      names = [name for name in file.namelist() if name.endswith('/data.pkl')]
      if len(names) != 1:
        raise ValueError('it has no data.pkl')
      folder, storages = names[0].removesuffix('data.pkl'), {}
      tree = AllowList(io.BytesIO(file.read(names[0])), ALLOWED, _stored).load()
      for storage in _storages(tree):
        elements = file.read(f'{folder}data/{storage.key}')
        storages[storage.key] = np.frombuffer(elements, storage.dtype)
      return tree, storages
  except (zipfile.BadZipFile, KeyError) as error:
    raise ValueError(str(error)) from None


def _read_legacy(data: bytes):
  """The pickled tree and {key: elements} of the format before version 1.6: five pickles, and each
  storage as its size and its elements."""
  file = io.BytesIO(data)
  load = lambda: AllowList(file, ALLOWED, _stored).load()
  try:
    if (load(), load()) != (MAGIC, VERSION):
      raise ValueError('it is not a file of torch.save')
    load()  # the machine that wrote it
    tree, keys = load(), load()
  except (EOFError, IndexError, KeyError, TypeError) as error:
    raise ValueError(f'it is not a file of torch.save ({error})') from None
  known = {storage.key: storage for storage in _storages(tree)}
  storages = {}
  for key in keys:
    storage = known[key]
    count = int(np.frombuffer(file.read(8), np.int64)[0])
    elements = file.read(count * storage.dtype.itemsize)
    storages[key] = np.frombuffer(elements, storage.dtype, count)
  return tree, storages


def _storages(tree) -> list[Storage]:
  """The storages of the tensors of a state dict."""
  values = tree.values() if isinstance(tree, dict) else ()
  return list({x.storage.key: x.storage for x in values if isinstance(x, Tensor)}.values())
