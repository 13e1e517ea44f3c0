"""What can be prepared in a folder of datasets, and what is there."""

import os
import re

from vaejax.data import readers, sets
from vaejax.data.prepare import official
from vaejax.data.prepare.locate import locate, prepared, root_of
from vaejax.errors import UserError
from vaejax.lookup import names

MIB = 2**20


def prepare(name: str, data_dir: str | None) -> str:
  """Prepares a dataset, and returns a line with its place.

  Raises UserError if it cannot be prepared here, with what to put where.
  """
  module = sets.reader(name)
  if hasattr(module, 'obtain'):
    if not module.is_there(data_dir):
      raise UserError(f'{name} is not in {module.place(data_dir)}: {module.obtain(data_dir)}')
    return f'{name} is in {module.place(data_dir)}'
  if module or readers.is_path(name):
    return f'{name} needs no preparing: train on it at once'
  if data_dir:
    os.makedirs(os.path.expanduser(data_dir), exist_ok=True)
  folder = locate(name, data_dir)
  import tensorflow_datasets

  splits = tensorflow_datasets.builder_from_directory(folder).info.splits
  counts = ', '.join(f'{split} {splits[split].num_examples:,}' for split in splits)
  return f'{name} is in {folder}: {counts}'


def listing(data_dir: str | None) -> str:
  """What can be prepared without TensorFlow, and which datasets a folder has."""
  root = root_of(data_dir)
  there = {}
  for full in prepared(root):
    there.setdefault(re.split('[:/]', full)[0], []).append(full)
  lines = {name: state(name, root) for name in names('data.sets', 'ARCHIVES')}
  files = names('data.sets', 'obtain')
  for module in map(sets.find, files):
    line = 'there' if module.is_there(data_dir) else f'not there: {module.obtain(data_dir)}'
    lines[sets.title(module.__name__.rpartition('.')[2])] = line
  lines |= {name: f'prepared: {", ".join(full)}' for name, full in there.items()}
  included = [name for name in names('data.sets', 'table') if name not in files]
  return '\n'.join(
    [
      f'datasets in {root}{"" if data_dir else ", or in another folder by --data_dir=DIR"}:',
      *(f'  {name:<16} {line}' for name, line in lines.items()),
      f'without preparing: {", ".join(included)}, and your own files by their path',
    ]
  )


def state(name: str, root: str) -> str:
  """What it takes to prepare a dataset that is not prepared yet."""
  absent = official.missing(name, root)
  if not absent:
    return f'not prepared; its files are in {official.archives(name, root)}'
  infos, address = official.official_class(name).url_infos, official.urls(name)
  size = sum(int(infos[address[file]].size) for file in absent)
  return f'not prepared; {size / MIB:,.0f} MiB to download'
