"""Datasets, one per file.

The name of a dataset is the name of its file, or the dotted name of a module outside this package
(`data.name=mylab.cells`, or that word after a config's colon). A file can define:

  SUITS: {'model.net': 'conv', ...}, the config fields for the dataset: how it is read and
    binarised, and the net and likelihood of an autoencoder (see config/presets.py).
  DRAWN: True for drawings in black and white; by default a dataset has photographs in colour.
  table(split, size, channels, fit, frames) -> Table: the reader of a dataset that is not from TFDS.
    A module outside this package must define it. None means the default of the dataset. Settings
    that do not apply, such as `frames` for images, are ignored. It may also take `background`, see
    data.background, and `data_dir`, the folder of datasets, None for the default.
  SPLITS: the splits of `table` or `read`; ('train', 'test') by default.
  ARCHIVES: the official files from which data/prepare/official.py prepares the dataset for TFDS.
  read(split, {archive: path}) -> ({label: its names}, number of rows, rows), where a row is the key
    that TFDS gives it and {feature: value}. It reads these files without TensorFlow.
  place(data_dir), is_there(data_dir), obtain(data_dir): for a `table` of files that the user puts
    into data_dir: their folder, whether they are there, and in words what to put where.
  CENTRES, DEVIATION: a mixture of Gaussians: the centres of its modes, [M, D], and their standard
    deviation.
  WHITE: the value of white as stored by TFDS; 255 by default.

Other TFDS datasets need no file. Configs read SUITS and DRAWN when they are loaded, so a file
imports JAX, NumPy and other slow packages inside its functions.
"""

import importlib
import os
import re
from pathlib import Path
from types import ModuleType

from vaejax.data.paths import ARRAYS, MOVIES, PICTURES, is_path, is_tfds
from vaejax.lookup import exists, lookup, names

# SUITS of images whose grey levels are the probabilities of white.
BINARY = {'data.binarise': 'dynamic', 'model.likelihood': 'bernoulli'}

FILES = *ARRAYS, *MOVIES, *PICTURES, '.zip'  # endings of the user's own files


def title(dataset: str) -> str:
  """The name of a dataset without version or path: 'mnist' for mnist:3.0.1 or /x/mnist/3.0.1."""
  path = dataset.startswith(('/', '.', '~')) or is_path(dataset)
  parts = [part for part in re.split('[:/]', dataset) if not re.fullmatch(r'[\d.*~]*', part)]
  return (parts[-1] if path else parts[0]) if parts else dataset


def find(dataset: str) -> ModuleType | None:
  """The module of a dataset from any form of its name; None if it has no file.

  The user's own files have none, whatever their name: a folder of pictures can be called mnist.
  Raises UserError for a dotted name of a module that does not exist or has no `table`.
  """
  if is_path(dataset) and not is_tfds(os.path.expanduser(dataset)):
    return None
  name = title(dataset)
  if '.' in name:
    if Path(name).suffix.lower() in FILES and not exists(name):
      return None  # a file that is not there
    return lookup('data.sets', name, attribute='table') if name == dataset else None
  has_file = name.isidentifier() and exists(f'{__name__}.{name}')
  return importlib.import_module(f'{__name__}.{name}') if has_file else None


def reader(dataset: str) -> ModuleType | None:
  """The module whose `table` reads a dataset; None if one of data/readers reads it."""
  module = find(dataset) if title(dataset) == dataset else None
  return module if hasattr(module, 'table') else None


def known() -> list[str]:
  """The datasets that this package contains or can prepare."""
  return [*names('data.sets', 'table'), *names('data.sets', 'ARCHIVES')]
