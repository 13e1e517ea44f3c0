"""The folder of a prepared TFDS dataset, from its name or directory."""

import contextlib
import difflib
import fnmatch
import json
import os
import re

from vaejax.data import sets
from vaejax.data.prepare import official
from vaejax.errors import UserError

_INFO = 'dataset_info.json'
_NAME = re.compile(r'(\w+)(?:/(?!\d+\.\d+\.\d+$)(\w[\w\-.]*))?(?:[:/]([\d*]+\.[\d*]+\.[\d*]+))?')


def locate(name: str, data_dir: str | None = None) -> str:
  """The folder of the newest matching version of a dataset. Prepares an official one if needed.

  Args:
    name: 'name', 'name/config', 'name:version', or an existing directory with a separator.
    data_dir: the folder of datasets; default TFDS_DATA_DIR, else the default of TFDS.

  Raises:
    UserError: there is no such dataset. The message lists those that exist and what to do.
  """
  path = os.path.expanduser(name)
  if os.sep in name and os.path.isdir(path):
    if folder := _version(path):
      return folder
    raise UserError(
      f'{name} is not a TFDS dataset: there is no {_INFO} in it or in a version folder of it. Give '
      'the directory of a dataset'
    )
  match = _NAME.fullmatch(name)
  if not match:
    raise UserError(
      f'{name!r} is neither a file or a folder in {os.getcwd()} nor a TFDS name. Check the path, '
      'or give a name such as mnist, name/config or name:1.0.0'
    )
  base, config, version = match.groups()
  given, root = data_dir or os.environ.get('TFDS_DATA_DIR'), root_of(data_dir)
  if given and not os.path.isdir(root):
    raise UserError(f'data_dir {root} is not a directory. Give an existing folder')
  if folder := _version(os.path.join(root, base), config, version):
    return folder
  there = prepared(root)
  missing = f'{name} is not prepared in {root}, which has {", ".join(there) or "no dataset"}'
  missing += '' if given else ' (choose another folder by --data_dir=DIR)'
  if official.files(base) and not config:
    return _official(base, version, root, there, missing)
  raise UserError(advice(name, base, there, missing))


def root_of(data_dir: str | None) -> str:
  """The folder of datasets: data_dir, or else TFDS_DATA_DIR, or else the default of TFDS."""
  given = data_dir or os.environ.get('TFDS_DATA_DIR')
  return os.path.abspath(os.path.expanduser(given or os.path.join('~', 'tensorflow_datasets')))


def _official(base: str, version: str | None, root: str, there: list[str], missing: str) -> str:
  """The folder of an official dataset, which is prepared unless another version of it exists.
  Raises UserError if that is impossible."""
  if not any(p.startswith(f'{base}:') for p in there) and official.obtainable(base, root):
    official.prepare(base, root)
    if folder := _version(os.path.join(root, base), None, version):
      return folder
    raise UserError(f'{missing}. Another version was prepared in {os.path.join(root, base)}')
  absent, place = official.missing(base, root), official.archives(base, root)
  source = os.path.dirname(official.urls(base)[official.files(base)[0]])
  what = f'{", ".join(absent)} from {source}'
  raise UserError(f'{missing}; its download host does not answer. Put {what} into {place}')


def advice(name: str, base: str, there: list[str], missing: str) -> str:
  """The error message for a dataset that does not exist and cannot be prepared without
  TensorFlow."""
  import tensorflow_datasets

  known = [re.split('[:/]', p)[0] for p in there]
  if base in known or base in tensorflow_datasets.list_builders(with_community_datasets=False):
    return (
      f'{missing}. Prepare it on a machine with TensorFlow by `tfds build {base} '
      '--file_format=array_record`, then copy it there or give its directory as the name'
    )
  names = list(dict.fromkeys([*known, *sets.known()]))
  close = difflib.get_close_matches(base.lower(), names, 3, 0.5) or names
  return f'no dataset is called {name}; the nearest names are {", ".join(close)}; {missing}'


def _version(folder: str, config: str | None = None, pattern: str | None = None) -> str | None:
  """The newest version that matches in folder/config. Without a config, that in the only or default
  config. None if there is none."""
  if newest := _newest(os.path.join(folder, config) if config else folder, pattern):
    return newest
  configs = [c for c in _children(folder) if _newest(os.path.join(folder, c), pattern)]
  if config or not configs:
    return None
  if len(configs) > 1:
    configs = [c for c in configs if c == _default(folder)] or configs
  if len(configs) > 1:
    raise UserError(f'{folder} has several configs. Choose one of {", ".join(configs)}')
  return _newest(os.path.join(folder, configs[0]), pattern)


def _default(folder: str) -> str | None:
  """The default config of a dataset as recorded by TFDS; None if there is no record."""
  try:
    with open(os.path.join(folder, '.config', 'metadata.json'), 'rb') as file:
      return json.load(file)['default_config_name']
  except (OSError, ValueError, KeyError, TypeError):
    return None


def _newest(folder: str, pattern: str | None = None) -> str | None:
  """The newest version in a folder that matches. Without a pattern, the folder itself if it is a
  version."""
  if pattern is None and os.path.isfile(os.path.join(folder, _INFO)):
    return folder
  versions = [v for v in _children(folder) if re.fullmatch(r'\d+\.\d+\.\d+', v)]
  versions = [v for v in fnmatch.filter(versions, pattern or '*') if _newest(f'{folder}/{v}')]
  newest = max(versions, key=lambda v: [int(n) for n in v.split('.')], default=None)
  return newest and os.path.join(folder, newest)


def _children(folder: str) -> list[str]:
  with contextlib.suppress(OSError):
    return sorted(e.name for e in os.scandir(folder) if e.is_dir())
  return []


def prepared(root: str) -> list[str]:
  """The newest version of each dataset in a folder: 'name:version' or 'name/config:version'."""
  names = _children(root)
  names += [f'{n}/{c}' for n in names for c in _children(os.path.join(root, n))]
  versions = [(n, _newest(os.path.join(root, n), '*')) for n in names]
  return sorted(f'{n}:{os.path.basename(path)}' for n, path in versions if path)
