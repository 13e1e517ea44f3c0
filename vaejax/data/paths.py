"""Distinguishes paths from names of datasets."""

import itertools
import os
from pathlib import Path

from vaejax.lookup import exists

ARRAYS = '.npz', '.npy', '.h5', '.hdf5', '.hdf'
PICTURES = (
  *('.png', '.jpg', '.jpeg', '.jpe', '.jfif', '.webp', '.bmp', '.dib', '.tif', '.tiff', '.gif'),
  *('.ppm', '.pgm', '.pbm', '.pnm'),
)
MOVIES = '.mp4', '.m4v', '.avi', '.mov', '.mkv', '.webm', '.mpg', '.mpeg', '.wmv'
INFO = 'dataset_info.json'  # of a dataset that TFDS has prepared
CHILDREN = 1000  # entries of a folder that are examined; it can have a million pictures
VERSIONS = 16  # entries that are examined in each folder among those


def is_path(name: str) -> bool:
  """Whether the name of a dataset is a path, rather than a name of TFDS or of data/sets.

  Only what exists is a path. A name without a separator is one if it is a folder, or a file with an
  ending, and no file in data/sets has that name.
  """
  path = os.path.expanduser(name)
  if os.sep in name or name.startswith(('.', '~')):
    return os.path.exists(path)
  if name.isidentifier() and exists(f'vaejax.data.sets.{name}'):
    return False
  return os.path.isdir(path) or (bool(Path(path).suffix) and os.path.isfile(path))


def is_tfds(folder: str | Path) -> bool:
  """Whether a folder is a dataset of TFDS: a version, or the parent of versions or configs."""
  if os.path.isfile(os.path.join(folder, INFO)):
    return True
  folders = subfolders(folder, CHILDREN)
  return any(os.path.isfile(os.path.join(child, INFO)) for child in folders) or any(
    os.path.isfile(os.path.join(version, INFO))
    for child in folders
    for version in subfolders(child, VERSIONS)
  )


def subfolders(folder: str | Path, count: int) -> list[str]:
  """The folders among the first `count` entries of a folder, [] if it cannot be read."""
  try:
    with os.scandir(folder) as entries:
      return [entry.path for entry in itertools.islice(entries, count) if entry.is_dir()]
  except OSError:
    return []
