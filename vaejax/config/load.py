"""A config, loaded from its file or module, with overrides."""

import copy
import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

from ml_collections import ConfigDict

from vaejax.config import eval_settings
from vaejax.config.base import base
from vaejax.config.fields import assign, check
from vaejax.errors import UserError
from vaejax.lookup import exists, nearest

PROJECT = Path(__file__).parents[2]  # the clone, which has configs/


def set_field(config: ConfigDict, field: str, text: str, smoke: bool = False) -> None:
  """Sets a field from text like fields.assign, also eval.NAME.FIELD of an eval that the config does
  not have yet. Raises UserError."""
  names = eval_settings.of_field(config, field)
  eval_settings.add(config, names, smoke)
  assign(config, field, text)
  eval_settings.add(config, names, smoke)


def available_configs() -> list[str]:
  """Returns the config files under configs/, as the command line names them."""
  folder = Path('configs') if Path('configs').is_dir() else PROJECT / 'configs'
  return sorted(str(path) for path in folder.glob('*.py'))


def load_config(spec: str | ConfigDict, overrides: Iterable[tuple[str, str]] = ()) -> ConfigDict:
  """Returns the config of 'configs/vae.py:mnist,smoke', of a module such as 'mylab.flow:mnist', or
  a copy of a config; with overrides (field, text), and checked. Raises UserError."""
  if isinstance(spec, ConfigDict):
    config, path = copy.deepcopy(spec), 'given'
  elif isinstance(spec, str):
    path, _, arg = spec.partition(':')
    # A path can also be relative to the project, from any folder.
    files = [file for file in (Path(path), PROJECT / path) if file.is_file()]
    module = import_file(files[0]) if files else import_module(path)
    if not hasattr(module, 'get_config'):
      raise UserError(f'config {path!r} has no get_config(arg). See configs/vae.py for one')
    config = module.get_config(arg)
  else:
    kind = type(spec).__name__
    raise UserError(
      f'config is of type {kind}. Use a config or a str such as configs/vae.py:digits'
    )
  if not isinstance(config, ConfigDict) or any(name not in config for name in base('', {})):
    raise UserError(f'config {path!r} is not complete. Start it with vaejax.config.base.base(...)')
  config.lock()
  for field, text in overrides:
    set_field(config, field, text)
  check(config)
  return config


def config_name(spec: str) -> str:
  """Returns the name of a config: 'vae' for 'configs/vae.py:mnist' and 'mylab.vae:mnist'."""
  path = spec.partition(':')[0]
  return Path(path).stem if path.endswith('.py') else path.split('.')[-1]


def import_file(path: Path):
  """Imports a file from any folder. Raises UserError if it is not a Python file."""
  spec = importlib.util.spec_from_file_location(path.stem, path)
  if spec is None:
    raise UserError(f"config '{path}' is not a Python file. Use a .py file with get_config(arg)")
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def import_module(name: str):
  """Imports a module by its dotted name. Raises UserError if there is none."""
  parts = name.split('.')
  if len(parts) > 1 and all(map(str.isidentifier, parts)) and parts[-1] != 'py' and exists(name):
    return importlib.import_module(name)
  files = available_configs()
  stems = {Path(path).stem: path for path in files}
  close = nearest(Path(name).stem, stems, stems)
  raise UserError(
    f'there is no config {name!r}{close}. Use one of {", ".join(files)}, or a module such as '
    'mylab.configs.flow'
  )
