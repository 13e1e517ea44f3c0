"""Settings of evals: the sections eval.NAME of a config, with defaults from each eval's file.

The file of an eval may define SETTINGS, {field: default}; SMOKE, those of a smoke run; and RANGES,
{field: (smallest, largest)}.
"""

from collections.abc import Iterable

from ml_collections import ConfigDict

from vaejax.config.fields import check_range
from vaejax.errors import UserError
from vaejax.lookup import lookup


def section_name(name: str) -> str:
  """Returns the section of an eval: 'mig' for 'mylab.mig'."""
  return name.rpartition('.')[2]


def add(config: ConfigDict, names: Iterable[str] = (), smoke: bool = False) -> None:
  """Adds the missing settings of the config's evals, and of others that are named.

  Raises UserError for an unknown eval, for two evals with the same section, and for a value out of
  range.
  """
  modules = {}
  for name in dict.fromkeys((*config.evals, *names)):
    module, section = lookup('evals', name), section_name(name)
    if modules.setdefault(section, module) is not module:
      raise UserError(f'two evals have the settings eval.{section}. Rename one of them')
    if defaults := getattr(module, 'SETTINGS', None):
      fields = defaults | (getattr(module, 'SMOKE', {}) if smoke else {})
      present = config.eval.get(section, {})
      if not isinstance(present, ConfigDict | dict):
        raise UserError(f'eval.{section} is already a field of every config. Rename the eval')
      with config.eval.unlocked():
        config.eval[section] = ConfigDict(fields | dict(present))
      limits = {f'eval.{section}.{k}': pair for k, pair in getattr(module, 'RANGES', {}).items()}
      for field, value in config.eval[section].items():
        check_range(f'eval.{section}.{field}', value, limits)


def of_field(config: ConfigDict, field: str) -> list[str]:
  """Returns the eval NAME of a field eval.NAME.FIELD, if the config does not have that eval yet."""
  path = field.split('.')
  name = path[1] if path[0] == 'eval' and len(path) == 3 else ''
  return [name] if name and name not in map(section_name, config.evals) else []
