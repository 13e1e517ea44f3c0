"""The fields of a config: their names, types and ranges, and how a text sets one."""

import ast
import math
import re
import sys
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import FieldReference

from vaejax.errors import UserError
from vaejax.lookup import nearest

NAMES = 'evals', 'init_nets', 'train'  # fields that take names, as in elbo,nll or elbo+nll


def flat(config: ConfigDict) -> dict[str, Any]:
  """{dotted field: value}, in alphabetical order."""
  fields = {}
  for name in config:
    value = config[name]
    inner = flat(value) if isinstance(value, ConfigDict) else {'': value}
    fields |= {f'{name}.{k}'.rstrip('.'): v for k, v in inner.items()}
  return fields


def locate(config: ConfigDict, field: str) -> str:
  """The whole name of a field. The last part of its name is enough where only one field has it;
  `schedule` does not count, it has the names of `hyper`, nor does a section within a section, which
  has those of the one around it. Raises UserError, with the nearest name."""
  fields = flat(config)
  outer = [n for n in fields if n.count('.') < 2 and not n.startswith('schedule.')]
  short = [n for n in outer if n.split('.')[-1] == field]
  field = short[0] if field not in fields and len(short) == 1 else field
  if field not in fields:
    close = nearest(field, [*fields, *(name.split('.')[-1] for name in fields)])
    several = f': there are {", ".join(short)}' if short else close
    raise UserError(f'unknown config field {field!r}{several}')
  return field


def assign(config: ConfigDict, field: str, text: str) -> None:
  """Sets a field, named as `locate` takes it, from its text. Raises UserError, with the nearest
  name or the type that the field takes."""
  field = locate(config, field)
  *path, last = field.split('.')
  inner = config
  for name in path:
    inner = inner[name]
  optional = isinstance(dict(inner.items(preserve_field_references=True))[last], FieldReference)
  inner[last] = None if text == 'None' and optional else read(field, inner.get_type(last), text)


def read(field: str, kind: type, text: str) -> Any:
  """A value of that type from its text. Raises UserError."""
  if kind is str:
    return text
  if field in NAMES:
    return tuple(name for name in re.split('[,+]', text.strip('()')) if name)
  try:
    value = ast.literal_eval(text)
  except (ValueError, SyntaxError, MemoryError, RecursionError):
    value = {'true': True, 'false': False}.get(text)
  if kind is tuple and not isinstance(value, tuple | list):
    value = (value,)
  return convert(field, kind, value, text)


def convert(field: str, kind: type, value: Any, text: str | None = None) -> Any:
  """A value as that type has it: 1e4 as a whole number, a list as a tuple. Raises UserError."""
  number = type(value) in (int, float) and abs(value) <= sys.float_info.max
  if kind is float and number:
    return float(value)
  if kind is int and number and value == int(value):
    return int(value)
  inner = str if field in NAMES else int
  if kind is tuple and isinstance(value, tuple | list) and all(type(v) is inner for v in value):
    return tuple(value)
  if kind in (bool, str) and type(value) is kind:
    return value
  wanted = {tuple: 'whole numbers, as in 64,32', bool: 'True or False', int: 'a whole number'}
  wanted |= {str: 'a text', ConfigDict: 'fields of its own'}
  given = repr(value if text is None else text)[:80]
  raise UserError(f'{field}={given}: it takes {wanted.get(kind, "a number")}')


# Smallest and largest value of numeric fields; the models' own are checked as well.
RANGES = {
  'seed': (0, 2**32 - 1),
  'steps': (1, 2**31 - 2),
  'batch_size': (1, 2**20),
  'hyper': (0, math.inf),
  'optimizer.clip': (0, math.inf),
  'optimizer.accumulate': (1, 2**20),
  'optimizer.ema': (0, 0.999999),
  'optimizer.b1': (0, 0.999999),
  'optimizer.b2': (0, 0.999999),
  'optimizer.eps': (0, math.inf),
  'optimizer.momentum': (0, 0.999999),
  'optimizer.decay': (0, 0.999999),
  'optimizer.weight_decay': (0, math.inf),
  'data.size': (0, 1024),
  'data.channels': (0, 3),
  'data.frames': (1, 4096),
  'data.budget_mb': (0, 2**30),
  'data.validation': (0, 2**31),
  'data.seed': (0, 2**32 - 1),
  'data.labels': (1, 2**31),
  'data.labelled_batch': (1, 2**20),
  'model.latents': (1, 2**16),
  'model.state': (1, 2**16),
  'model.tones': (0, 4096),
  'model.components': (1, 2**16),
  'model.kernel': (1, 15),
  'model.blocks': (0, 64),
  'model.widths': (1, 2**20),
  'model.channels': (1, 2**16),
  'model.strides': (1, 2),
  'model.scale': (1e-6, math.inf),
  'model.floor': (1e-6, math.inf),
  'objective.samples': (1, 2**16),
  'objective.turns': (1, 100),
  'objective.shift': (0, 64),
  'objective.soften': (0, 1),
  'eval.every': (0, 2**31),
  'eval.batch_size': (1, 2**20),
  'eval.size': (0, 2**31),
  'eval.images': (1, 1024),
  'eval.log_every': (1, 2**31),
  'checkpoint.every': (1, 2**31),
  'checkpoint.keep': (1, 1000),
}


def check_range(field: str, given: Any, ranges: Mapping[str, tuple] = RANGES) -> None:
  """Raises UserError for a value that is out of its field's range."""
  # A player's own optimizer has the fields of the shared one, and another net those of a net.
  name = re.sub(r'^(optimizer|model)\.\w+\.', r'\1.', field)
  name = 'hyper' if name.startswith('hyper.') else name
  low, high = ranges.get(name, (-math.inf, math.inf))
  for value in given if isinstance(given, tuple) else (given,):
    number = type(value) in (int, float)
    if name in ranges and value is not None and not number:
      raise UserError(f'{field}={repr(value)[:80]}: it takes a number')
    if number and not (low <= value <= high and abs(value) <= sys.float_info.max):
      wanted = f'at least {low:g}' if high == math.inf else f'{low:g} to {high:,}'
      raise UserError(f'{field}={str(value)[:40]} is out of range: it takes {wanted}')


def check(config: ConfigDict) -> None:
  """Raises UserError for a value out of range, or numbers that do not fit together."""
  for field, given in flat(config).items():
    check_range(field, given)
  for field in ('batch_size', 'data.labelled_batch'):
    rows = flat(config).get(field, 0)
    if rows % config.optimizer.accumulate:
      raise UserError(
        f'{field}={rows} does not split into optimizer.accumulate={config.optimizer.accumulate} '
        'equal parts'
      )
  if config.data.channels == 2:
    raise UserError('data.channels=2: it takes 1, 3, or 0 for the data as it comes')
