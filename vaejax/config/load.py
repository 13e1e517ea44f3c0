"""A config from its file or module, with overrides."""

import copy
import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from vaejax.config import eval_settings
from vaejax.config.base import base
from vaejax.config.fields import assign, check
from vaejax.errors import UserError
from vaejax.lookup import exists, nearest

PROJECT = Path(__file__).parents[2]  # where configs/ is, in a clone


def set_field(config: ConfigDict, field: str, text: str, smoke: bool = False) -> None:
  """Sets a field from its text, as fields.assign does, and adds the settings of the evals that
  it names. Raises UserError."""
  own = eval_settings.of_field(config, field)
  eval_settings.add(config, own, smoke)
  assign(config, field, text)
  eval_settings.add(config, own, smoke)


def available_configs() -> list[str]:
  """The config files under configs/, as they are named on the command line."""
  here = Path('configs') if Path('configs').is_dir() else PROJECT / 'configs'
  return sorted(str(path) for path in here.glob('*.py'))


def load_config(spec: str | ConfigDict, overrides: Iterable[tuple[str, str]] = ()) -> ConfigDict:
  """The config of 'configs/vae.py:mnist,smoke', or of a module by dotted name, as in
  'mylab.flow:mnist', or a copy of one; with overrides, checked. Raises UserError."""
  if isinstance(spec, ConfigDict):
    return overridden(copy.deepcopy(spec), 'given', overrides)
  if not isinstance(spec, str):
    kind = type(spec).__name__
    raise UserError(f'config is a {kind}: it takes a text, as configs/vae.py:digits, or a config')
  path, _, arg = spec.partition(':')
  # A file's path may be that in the project's folder, from wherever one is.
  places = [place for place in (Path(path), PROJECT / path) if place.is_file()]
  module = read_file(str(places[0])) if places else read_module(path)
  if not hasattr(module, 'get_config'):
    raise UserError(f'config {path!r} has no get_config(arg): see configs/vae.py')
  return overridden(module.get_config(arg), path, overrides)


def overridden(config: Any, path: str, overrides: Iterable[tuple[str, str]]) -> ConfigDict:
  """The config that a path gives, with overrides, checked. Raises UserError."""
  if not isinstance(config, ConfigDict) or any(name not in config for name in base('', {})):
    raise UserError(f'config {path!r} gives no config: get_config(arg) starts from base(...)')
  config.lock()
  for field, text in overrides:
    set_field(config, field, text)
  check(config)
  return config


def config_name(spec: str) -> str:
  """What a config is called: 'vae' of 'configs/vae.py:mnist' and of 'mylab.configs.vae:mnist'."""
  path = spec.partition(':')[0]
  return Path(path).stem if path.endswith('.py') else path.split('.')[-1]


def read_file(path: str):
  """The module of a file anywhere. Raises UserError where it is not Python."""
  found = importlib.util.spec_from_file_location(Path(path).stem, path)
  if found is None:
    raise UserError(f'config {path!r} is not a Python file: it takes a .py file with get_config')
  module = importlib.util.module_from_spec(found)
  found.loader.exec_module(module)
  return module


def read_module(name: str):
  """The module of a dotted name. Raises UserError where there is none."""
  words = name.split('.')
  if len(words) > 1 and all(map(str.isidentifier, words)) and words[-1] != 'py' and exists(name):
    return importlib.import_module(name)
  known = available_configs()
  there = f'there are {", ".join(known)}' if known else 'run from the project folder'
  stems = {Path(path).stem: path for path in known}
  close = nearest(Path(name).stem, stems, stems)
  raise UserError(f'no config {name!r}{close}: {there}; or a module, as in mylab.configs.flow')
