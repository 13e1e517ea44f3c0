"""Reading pickled arrays without running code: only the named globals of a file are accepted."""

import io
import pickle
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy._core import multiarray

# What pickled NumPy arrays are made of. Files of NumPy 1 name its old module.
NUMPY = {
  ('numpy.core.multiarray', '_reconstruct'): multiarray._reconstruct,
  ('numpy._core.multiarray', '_reconstruct'): multiarray._reconstruct,
  ('numpy', 'ndarray'): np.ndarray,
  ('numpy', 'dtype'): np.dtype,
}


class AllowList(pickle.Unpickler):
  """An unpickler that accepts only the given globals."""

  def __init__(
    self, file, allowed: Mapping[tuple[str, str], Any], stored: Callable | None = None
  ) -> None:
    super().__init__(file)
    self.allowed, self.stored = allowed, stored

  def find_class(self, module: str, name: str) -> Any:
    if (module, name) not in self.allowed:
      raise pickle.UnpicklingError(f'{module}.{name} is not allowed')
    return self.allowed[module, name]

  def persistent_load(self, pid: Any) -> Any:
    if self.stored is None:
      raise pickle.UnpicklingError('references to other files are not allowed')
    return self.stored(pid)


def arrays(data: bytes) -> Any:
  """The object of a pickle of containers, numbers, texts and NumPy arrays.

  Raises pickle.UnpicklingError for any other global.
  """
  return AllowList(io.BytesIO(data), NUMPY).load()
