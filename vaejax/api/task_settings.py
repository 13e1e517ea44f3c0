"""The values of a task's settings: checked, in their types, and with the defaults of the others."""

import reprlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from vaejax.api import inputs
from vaejax.api.run import Run
from vaejax.errors import UserError
from vaejax.lookup import nearest
from vaejax.task_type import Setting

WORDS = {
  bool: 'True or False',
  int: 'a whole number',
  float: 'a number',
  str: 'a text',
  Path: 'a path',
}


def complete(task: ModuleType, given: Mapping[str, Any], run: Run) -> tuple[dict, dict]:
  """All settings of a task with their values, and the fields that were given. Raises UserError."""
  settings = {name: setting.default for name, setting in task.SETTINGS.items()}
  fields = {}
  for name, value in given.items():
    several = is_array(value) or isinstance(value, list | tuple)
    is_field = name in run.example.fields and several  # label=[3, 7] of two pictures
    if name in settings and (task.SETTINGS[name].arrays or not is_field):
      settings[name] = check(name, value, task.SETTINGS[name])
    elif name in run.example.fields:
      fields[name] = value
    else:
      known = *settings, *run.example.fields
      raise UserError(f'unknown setting {name!r}{nearest(name, known)}. Use {", ".join(settings)}')
  return settings, fields


def check(name: str, value: Any, setting: Setting) -> Any:
  """The value of a setting in its type. Raises UserError."""
  kind = setting.type
  if value is None and setting.default is None:
    return None
  if setting.arrays and is_array(value):
    return inputs.array(name, value)
  if kind is tuple:
    parts = value.split(',') if isinstance(value, str) else np.ravel(value)
    return tuple(map(str, parts))
  if kind is Path and isinstance(value, str | Path):
    return Path(value).expanduser()
  if kind is str:
    value = as_text(value)
  numbers = {int: int | np.integer, float: int | float | np.number}
  is_bool = isinstance(value, bool | np.bool_)
  if is_bool != (kind is bool) or not (is_bool or isinstance(value, numbers.get(kind, kind))):
    raise UserError(f'{name}={reprlib.repr(value)} is not {WORDS[kind]}')
  if kind in numbers and not setting.low <= value <= setting.high:
    low, high = (f'{x:,.10g}' for x in (setting.low, setting.high))
    raise UserError(f'{name}={value} is out of range. Use {low} to {high}')
  if setting.choices and value not in setting.choices:
    close = nearest(value, setting.choices)
    raise UserError(f'{name}={value!r} is unknown{close}. Use {", ".join(setting.choices)}')
  return kind(value)


def is_array(value: Any) -> bool:
  """Whether a value is an array of NumPy or JAX, or a list other than of texts."""
  if isinstance(value, list | tuple):
    return not all(isinstance(x, str | Path) for x in value)
  return getattr(value, 'ndim', 0) > 0


def as_text(value: Any) -> Any:
  """A path, a whole number, or a list of texts as the text of a flag; other values as they are."""
  if isinstance(value, list | tuple) and not is_array(value):
    return ','.join(map(str, value))
  if isinstance(value, Path | int | np.integer) and not isinstance(value, bool):
    return str(value)
  return value
