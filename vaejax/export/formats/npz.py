"""The weights alone, as a compressed NumPy file: 'params/NET/...' and 'extra/NET/...'."""

from pathlib import Path

import jax
import numpy as np

from vaejax.api.files import write_arrays
from vaejax.errors import RunError
from vaejax.export.artifact import Export, File

NAME = 'weights.npz'


def write(export: Export, folder: Path) -> list[File]:
  """Writes the variables of all nets, and compares the file with them. Raises RunError."""
  arrays = named(export.run.variables)
  path = write_arrays(folder / NAME, np.savez_compressed, **arrays)
  with np.load(path, allow_pickle=False) as read:
    same = all(read[name].tobytes() == x.tobytes() for name, x in arrays.items())
  if not same:
    raise RunError(f'{path} is not what was written. Check the disk, and export again')
  return [File(path)]


def named(variables) -> dict[str, np.ndarray]:
  """{path: array} of a run's variables."""
  tree = {'params': variables.params, 'extra': variables.extra}
  leaves = jax.tree_util.tree_leaves_with_path(tree)
  name = lambda path: jax.tree_util.keystr(path, simple=True, separator='/')
  return {name(path): np.asarray(x) for path, x in leaves}
