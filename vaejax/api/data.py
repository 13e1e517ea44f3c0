"""Where a run reads its data: a dataset by name or path, or arrays in memory."""

import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from vaejax.data import arrays
from vaejax.errors import UserError

Data: TypeAlias = str | PathLike[str] | Mapping[str, Any] | np.ndarray


def locate(data: Any, data_dir: Any) -> tuple[str | None, Any]:
  """Returns the value of data.name, None for that of the config, and what the loader reads from: a
  folder of datasets, the tables of arrays, or None. Raises UserError."""
  if isinstance(data, Mapping) or hasattr(data, '__array__'):
    return arrays.NAME, arrays.tables(data)
  if not isinstance(data, str | PathLike | None):
    raise UserError(
      f"data is of type {type(data).__name__}. Use an array, {{'train': arrays, 'test': arrays}}, "
      'or the name or path of a dataset'
    )
  folder = None if data_dir is None else os.path.expanduser(os.fspath(data_dir))
  if folder and not Path(folder).is_dir():
    raise UserError(f'there is no folder {folder}. Use the data_dir of your prepared datasets')
  return os.fspath(data) if data else None, folder
