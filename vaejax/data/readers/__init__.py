"""Readers of datasets, one kind of data a file.

A reader defines splits(name, settings, data_dir) -> the names of the splits, and
table(name, split, settings, data_dir) -> a Table. Both raise UserError.
"""

import importlib
import itertools
import os
from pathlib import Path
from types import ModuleType

from vaejax.data.paths import ARRAYS, CHILDREN, MOVIES, PICTURES, is_path, is_tfds
from vaejax.data.settings import Settings


def find(name: str, settings: Settings) -> ModuleType:
  """The reader of a dataset: tfds, files (arrays), video or folder (pictures)."""
  return importlib.import_module(f'{__name__}.{kind(name, settings)}')


def kind(name: str, settings: Settings) -> str:
  """The name of the reader of a dataset."""
  path = Path(name).expanduser()
  if not is_path(name) or is_tfds(path):
    return 'tfds'
  if path.suffix.lower() in ARRAYS or has_arrays(path):
    return 'files'
  return 'video' if settings.frames or path.suffix.lower() in MOVIES else 'folder'


def has_arrays(folder: Path) -> bool:
  """Whether a folder directly contains files of arrays, and more of them than pictures."""
  try:
    with os.scandir(folder) as entries:
      endings = [Path(entry.name).suffix.lower() for entry in itertools.islice(entries, CHILDREN)]
  except OSError:  # no folder, or one that its reader cannot list either
    return False
  arrays = sum(ending in ARRAYS for ending in endings)
  return arrays > sum(ending in PICTURES for ending in endings)
