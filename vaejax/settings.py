"""Settings of evals: sections of a config, eval.NAME.FIELD, whose defaults each eval's file has.

A file may have SETTINGS, {field: default}; SMOKE, those of a smoke run; and RANGES, {field: (least,
largest)}.
"""

from collections.abc import Iterable
from types import ModuleType

from ml_collections import ConfigDict

from vaejax.errors import UserError
from vaejax.lookup import lookup


def section(name: str) -> str:
  """The section of an eval: 'mig' of 'mylab.mig'."""
  return name.rpartition('.')[2]


def add(config: ConfigDict, names: Iterable[str] = (), smoke: bool = False) -> None:
  """Adds the sections that the evals of a config, and those of other names, lack. Raises UserError
  for an eval that is not there, and for two of one section."""
  modules = {}
  for name in dict.fromkeys((*config.evals, *names)):
    module, own = lookup('evals', name), section(name)
    if modules.setdefault(own, module) is not module:
      raise UserError(f'two evals are called {own}, whose settings are eval.{own}: rename one')
    if defaults := getattr(module, 'SETTINGS', None):
      fields = defaults | (getattr(module, 'SMOKE', {}) if smoke else {})
      held = dict(config.eval.get(own, {}))
      with config.eval.unlocked():
        config.eval[own] = ConfigDict(fields | held)


def of_field(config: ConfigDict, field: str) -> list[str]:
  """The eval that a field is a setting of, eval.NAME.FIELD, if the config has no section for it."""
  path = field.split('.')
  if path[0] != 'eval' or len(path) != 3 or path[1] in config.eval:
    return []
  return [path[1]]


def ranges(module: ModuleType, name: str) -> dict[str, tuple[float, float]]:
  """{eval.NAME.FIELD: (least, largest)} of the settings of an eval."""
  found = getattr(module, 'RANGES', {})
  return {f'eval.{section(name)}.{field}': limits for field, limits in found.items()}
