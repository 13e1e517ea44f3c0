"""Where a prepared TFDS dataset lies: from a name or a directory to a version's folder."""

import contextlib
import difflib
import fnmatch
import json
import os
import re

from vaejax.data import official, sets
from vaejax.errors import UserError

_INFO = 'dataset_info.json'
_NAME = re.compile(r'(\w+)(?:/(?!\d+\.\d+\.\d+$)(\w[\w\-.]*))?(?:[:/]([\d*]+\.[\d*]+\.[\d*]+))?')


def locate(name: str, data_dir: str | None = None) -> str:
  """Gives the folder of the newest version that a name means, preparing an official set if it must.

  Args:
    name: 'name', 'name/config', 'name:version', or a directory (it has a separator and exists).
    data_dir: where names are looked for; default TFDS_DATA_DIR, else TFDS's own.

  Raises:
    UserError: nothing of that name, with what there is and what to do about it.
  """
  path = os.path.expanduser(name)
  if os.sep in name and os.path.isdir(path):
    if found := _version(path):
      return found
    raise UserError(f'{name} is not a TFDS dataset: no {_INFO} in it or in a version folder of it')
  match = _NAME.fullmatch(name)
  if not match:
    raise UserError(
      f'{name!r} is neither a directory nor a TFDS name: name, name/config, name:1.0.0'
    )
  base, config, version = match.groups()
  given = data_dir or os.environ.get('TFDS_DATA_DIR')
  root = os.path.abspath(os.path.expanduser(given or os.path.join('~', 'tensorflow_datasets')))
  if given and not os.path.isdir(root):
    raise UserError(f'data_dir {root} is not a directory')
  if found := _version(os.path.join(root, base), config, version):
    return found
  there = _prepared(root)
  missing = f'{name} is not prepared in {root}, which has {", ".join(there) or "no dataset"}'
  missing += '' if given else ' (--data_dir=DIR names another folder)'
  if official.files(base) and not config:
    return _official(base, version, root, there, missing)
  raise UserError(_advice(name, base, there, missing))


def _official(base: str, version: str | None, root: str, there: list[str], missing: str) -> str:
  """Prepares an official set, unless another version of it is there, and gives its folder."""
  if not any(t.startswith(f'{base}:') for t in there) and official.obtainable(base, root):
    official.prepare(base, root)
    if found := _version(os.path.join(root, base), None, version):
      return found
    raise UserError(f'{missing}; what was prepared is in {os.path.join(root, base)}')
  files, place = ', '.join(official.files(base)), official.archives(base, root)
  raise UserError(f'{missing}; its download host does not answer: put {files} into {place}')


def _advice(name: str, base: str, there: list[str], missing: str) -> str:
  """What to do about a set that is not there and that cannot be prepared here."""
  import tensorflow_datasets

  here = [re.split('[:/]', t)[0] for t in there]
  if base in here or base in tensorflow_datasets.list_builders(with_community_datasets=False):
    return (
      f'{missing}; prepare it where TensorFlow is, with `tfds build {base} '
      '--file_format=array_record`, and copy it there or give its directory as the name'
    )
  names = list(dict.fromkeys([*here, *sets.known()]))
  near = difflib.get_close_matches(base.lower(), names, 3, 0.5) or names
  return f'no dataset is called {name}; the nearest names are {", ".join(near)}; {missing}'


def _version(folder: str, config: str | None = None, wanted: str | None = None) -> str | None:
  """The newest wanted version in folder/config; without a config, in the only or default one."""
  if found := _newest(os.path.join(folder, config) if config else folder, wanted):
    return found
  configs = [c for c in _children(folder) if _newest(os.path.join(folder, c), wanted)]
  if config or not configs:
    return None
  if len(configs) > 1:
    configs = [c for c in configs if c == _default(folder)] or configs
  if len(configs) > 1:
    raise UserError(f'{folder} has several configs, name one of: {", ".join(configs)}')
  return _newest(os.path.join(folder, configs[0]), wanted)


def _default(folder: str) -> str | None:
  """The config that TFDS noted as a set's default, None where it noted none."""
  try:
    with open(os.path.join(folder, '.config', 'metadata.json')) as file:
      return json.load(file)['default_config_name']
  except (OSError, ValueError, KeyError, TypeError):
    return None


def _newest(folder: str, wanted: str | None = None) -> str | None:
  """The folder itself if it is a version's (and none is wanted), else its newest that matches."""
  if wanted is None and os.path.isfile(os.path.join(folder, _INFO)):
    return folder
  versions = [v for v in _children(folder) if re.fullmatch(r'\d+\.\d+\.\d+', v)]
  versions = [v for v in fnmatch.filter(versions, wanted or '*') if _newest(f'{folder}/{v}')]
  newest = max(versions, key=lambda v: [int(n) for n in v.split('.')], default=None)
  return newest and os.path.join(folder, newest)


def _children(folder: str) -> list[str]:
  with contextlib.suppress(OSError):
    return sorted(e.name for e in os.scandir(folder) if e.is_dir())
  return []


def _prepared(root: str) -> list[str]:
  """What can be asked for in a data_dir: 'name:version' or 'name/config:version', newest only."""
  names = _children(root)
  names += [f'{n}/{c}' for n in names for c in _children(os.path.join(root, n))]
  found = [(n, _newest(os.path.join(root, n), '*')) for n in names]
  return sorted(f'{n}:{os.path.basename(path)}' for n, path in found if path)
