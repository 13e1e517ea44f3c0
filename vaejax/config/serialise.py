"""Configs as JSON, and how two configs differ."""

import json
from typing import Any

from ml_collections import ConfigDict

from vaejax.config.base import base, player
from vaejax.config.fields import check, flat, prunes
from vaejax.config.schedules import depends_on_steps


def config_to_json(config: ConfigDict) -> dict[str, Any]:
  """Returns a config as a value that JSON can hold."""
  return json.loads(config.to_json_best_effort())


def config_from_json(saved: dict[str, Any]) -> ConfigDict:
  """Returns the config that `config_to_json` saved, with the type of every field.

  Fields that an older config lacks get their defaults. Raises UserError, or an error that
  runs.workdir.read_config catches, if it is not a config.
  """
  config = base(saved['method'], {name: float(value) for name, value in saved['hyper'].items()})
  config.model.update(as_tuples(saved['model']))
  for name, section in saved.get('optimizer', {}).items():
    if isinstance(section, dict):
      config.optimizer[name] = player()
  config.update(as_tuples({name: saved[name] for name in saved if name not in ('hyper', 'model')}))
  config.lock()
  check(config)
  return config


def as_tuples(value: Any) -> Any:
  """Returns JSON's dicts and lists as dicts and tuples."""
  if isinstance(value, dict):
    return {name: as_tuples(inner) for name, inner in value.items()}
  return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def differences(old: ConfigDict, new: ConfigDict) -> list[str]:
  """Returns a line for each field that keeps a run of one config from resuming with another.

  `evals`, `eval` and `checkpoint` may change, and `steps` if neither a schedule nor pruning spans
  the whole run. The content of the data is compared, see runs.same_data, and not `data.name`.
  """
  before, after = flat(old), flat(new)
  spans = 'a schedule' if any(map(depends_on_steps, new.schedule.values())) else ''
  if not spans and prunes(new.optimizer) and new.optimizer.prune_end:
    spans = 'pruning'
  lines = []
  for field in {**before, **after}:
    a, b = before.get(field, 'absent'), after.get(field, 'absent')
    changeable = field.split('.')[0] in ('eval', 'evals', 'checkpoint') or field == 'data.name'
    if a != b and not changeable and (field != 'steps' or spans):
      why = f', and {spans} spans them' if field == 'steps' else ''
      lines.append(f'{field} is {a} there, {b} here{why}')
  return lines
