"""Settings of evals: sections of a config, eval.NAME.FIELD, whose defaults each eval's file has.

A file may have SETTINGS, {field: default}; SMOKE, those of a smoke run; and RANGES, {field: (least,
largest)}.
"""

from collections.abc import Iterable

from ml_collections import ConfigDict

from vaejax.config.fields import check_range
from vaejax.errors import UserError
from vaejax.lookup import lookup


def section(name: str) -> str:
  """The section of an eval: 'mig' of 'mylab.mig'."""
  return name.rpartition('.')[2]


def add(config: ConfigDict, names: Iterable[str] = (), smoke: bool = False) -> None:
  """Adds the sections that the evals of a config, and those of other names, lack. Raises UserError
  for an eval that is not there, for two of one section, and for a value out of range."""
  modules = {}
  for name in dict.fromkeys((*config.evals, *names)):
    module, own = lookup('evals', name), section(name)
    if modules.setdefault(own, module) is not module:
      raise UserError(f'two evals are called {own}, whose settings are eval.{own}: rename one')
    if defaults := getattr(module, 'SETTINGS', None):
      fields = defaults | (getattr(module, 'SMOKE', {}) if smoke else {})
      held = config.eval.get(own, {})
      if not isinstance(held, ConfigDict | dict):
        raise UserError(f'eval.{own} is a field of every config: call the eval {own} otherwise')
      with config.eval.unlocked():
        config.eval[own] = ConfigDict(fields | dict(held))
      limits = {f'eval.{own}.{k}': pair for k, pair in getattr(module, 'RANGES', {}).items()}
      for field, value in config.eval[own].items():
        check_range(f'eval.{own}.{field}', value, limits)


def of_field(config: ConfigDict, field: str) -> list[str]:
  """The eval that a field is a setting of, eval.NAME.FIELD, where the config does not name it."""
  path = field.split('.')
  own = path[1] if path[0] == 'eval' and len(path) == 3 else ''
  return [own] if own and own not in map(section, config.evals) else []
