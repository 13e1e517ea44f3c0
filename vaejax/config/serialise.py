"""Configs as JSON, and how two of them differ."""

import json
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vaejax.config.base import base, player
from vaejax.config.fields import check, convert, flat
from vaejax.config.schedules import depends_on_steps
from vaejax.errors import UserError


def config_to_json(config: ConfigDict) -> dict[str, Any]:
  """The config as JSON takes it."""
  return json.loads(config.to_json_best_effort())


def config_from_json(saved: Any) -> ConfigDict:
  """The config from `plain`, every field of the type it had. Raises UserError."""
  if not isinstance(saved, dict) or not {'method', 'hyper', 'model'} <= saved.keys():
    raise UserError('it holds no config')
  config = fill(saved, base('', {}), '')
  config.lock()
  if config.hyper.keys() != config.schedule.keys():
    raise UserError('hyper and schedule name different entries')
  check(config)
  return config


def fill(saved: dict[str, Any], like: ConfigDict, path: str) -> ConfigDict:
  """A ConfigDict of JSON's values, with the types of `like` where it has such a field: tuples for
  lists, placeholders for None. Raises UserError for a value of another type."""
  config = ConfigDict()
  for name, value in saved.items():
    field = path + name
    if not name.isidentifier() or path.count('.') > 3:
      raise UserError(f'{field[:80]!r} is not the name of a field')
    kind = {'hyper.': float, 'schedule.': str}.get(
      path, like.get_type(name) if name in like else None
    )
    if isinstance(value, dict) and kind in (ConfigDict, None):
      inner = player() if path == 'optimizer.' else like.get(name) or ConfigDict()
      config[name] = fill(value, inner, f'{field}.')
    elif name in like and like[name] is None:
      config[name] = placeholder(kind)
      config[name] = None if value is None else convert(field, kind, value)
    elif kind is None and not isinstance(value, list | dict):
      config[name] = value
    else:
      config[name] = convert(field, kind or tuple, value)
  for name in like:
    if name not in saved:  # a run of before there was that field
      config[name] = like.get_ref(name) if like[name] is None else like[name]
  return config


def differences(old: ConfigDict, new: ConfigDict) -> list[str]:
  """The fields in which two configs differ and may not on a resume: 'hyper.beta: 1.0 -> 4.0'.

  `evals`, `eval` and `checkpoint` may change, and `steps` where no schedule stretches over them.
  """
  before, after = flat(old), flat(new)
  fixed = any(depends_on_steps(text) for text in new.schedule.values())
  found = []
  for field in {**before, **after}:
    free = field.split('.')[0] in ('eval', 'evals', 'checkpoint') or (
      field == 'steps' and not fixed
    )
    a, b = before.get(field, 'absent'), after.get(field, 'absent')
    if a != b and not free:
      why = ', over which a schedule stretches' if field == 'steps' else ''
      found.append(f'{field}: {a} -> {b}{why}')
  return found
