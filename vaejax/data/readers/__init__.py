"""Readers of datasets, one kind of data a file.

A reader defines splits(name, settings, data_dir) -> the names of the splits, and
table(name, split, settings, data_dir) -> a Table. Both raise UserError.
"""

import importlib
import os
from pathlib import Path
from types import ModuleType

from vaejax.data.settings import Settings

ARRAYS = '.npz', '.npy', '.h5', '.hdf5', '.hdf'
VIDEOS = '.mp4', '.avi', '.mov', '.mkv', '.webm', '.gif'
INFO = 'dataset_info.json'  # of a dataset that TFDS has prepared


def is_path(name: str) -> bool:
  """Whether the name of a dataset is a path, rather than a name of TFDS or of data/sets."""
  path = os.path.expanduser(name)
  is_name_like = os.sep not in name and not name.startswith(('.', '~'))
  return os.path.exists(path) and (not is_name_like or Path(path).suffix.lower() in ARRAYS)


def find(name: str, settings: Settings) -> ModuleType:
  """The reader of a dataset: tfds, files (arrays), video or folder (pictures)."""
  return importlib.import_module(f'{__name__}.{kind(name, settings)}')


def kind(name: str, settings: Settings) -> str:
  """The name of the reader of a dataset."""
  path = Path(name).expanduser()
  if not is_path(name) or is_tfds(path):
    return 'tfds'
  if path.suffix.lower() in ARRAYS or (path.is_dir() and has_arrays(path)):
    return 'files'
  return 'video' if settings.frames else 'folder'


def is_tfds(folder: Path) -> bool:
  """Whether a folder is a dataset of TFDS: a version, or the parent of versions or configs."""
  return any(any(folder.glob(f'{depth}{INFO}')) for depth in ('', '*/', '*/*/'))


def has_arrays(folder: Path) -> bool:
  """Whether files of arrays lie directly in a folder."""
  return any(path.suffix.lower() in ARRAYS for path in folder.iterdir())
