"""The fields of a config: their names, types and ranges, and setting one from text."""

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

NAMES = 'evals', 'init_nets', 'train'  # fields whose value is several names: elbo,nll or elbo+nll


def flat(config: ConfigDict) -> dict[str, Any]:
  """Returns {dotted field: value}, in alphabetical order."""
  fields = {}
  for name in config:
    value = config[name]
    inner = flat(value) if isinstance(value, ConfigDict) else {'': value}
    fields |= {f'{name}.{k}'.rstrip('.'): v for k, v in inner.items()}
  return fields


def locate(config: ConfigDict, field: str) -> str:
  """Returns the full name of a field: 'hyper.lr' for 'lr', if only one field ends in that.

  Fields of `schedule`, and of sections of a player or a net, need their full name. Raises UserError
  for an unknown or ambiguous name.
  """
  fields = flat(config)
  if field in fields:
    return field
  is_outer = lambda name: name.count('.') < 2 and not name.startswith('schedule.')
  outer = [name for name in fields if is_outer(name) or name.startswith('data.augment.')]
  matches = [name for name in outer if name.split('.')[-1] == field]
  if len(matches) == 1:
    return matches[0]
  if matches:
    raise UserError(f'config field {field!r} is ambiguous. Use one of {", ".join(matches)}')
  close = nearest(field, [*fields, *(name.split('.')[-1] for name in fields)])
  raise UserError(f'unknown config field {field!r}{close}')


def assign(config: ConfigDict, field: str, text: str) -> None:
  """Sets a field, by its full or short name, from text. Raises UserError for a name that is unknown
  or a text that is not a value of the field's type."""
  field = locate(config, field)
  *path, last = field.split('.')
  inner = config
  for name in path:
    inner = inner[name]
  optional = isinstance(dict(inner.items(preserve_field_references=True))[last], FieldReference)
  inner[last] = None if text == 'None' and optional else read(field, inner.get_type(last), text)


def read(field: str, kind: type, text: str) -> Any:
  """Parses a text as a value of a type: 1e4 also as an int, 64,32 as a tuple. Raises UserError."""
  if kind is str:
    return text
  if field in NAMES:
    return tuple(name for name in re.split('[,+]', text.strip('()')) if name)
  try:
    value = ast.literal_eval(text)
  except (ValueError, SyntaxError, MemoryError, RecursionError):
    value = {'true': True, 'false': False}.get(text)
  is_number = type(value) in (int, float) and abs(value) <= sys.float_info.max
  if kind is float and is_number:
    return float(value)
  if kind is int and is_number and value == int(value):
    return int(value)
  if kind is bool and type(value) is bool:
    return value
  if kind is tuple:
    value = tuple(value) if isinstance(value, tuple | list) else (value,)
    if all(type(element) is int for element in value):
      return value
  expected = {tuple: 'whole numbers such as 64,32', bool: 'True or False', int: 'a whole number'}
  raise UserError(f'{field}={text[:80]!r} is not {expected.get(kind, "a number")}')


# {field: (smallest, largest) value}.
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
  'optimizer.prune': (0, 0.9999),
  'optimizer.prune_start': (0, 1),
  'optimizer.prune_end': (0, 1),
  'optimizer.prune_every': (1, 2**31 - 2),
  'data.size': (0, 1024),
  'data.channels': (0, 4),
  'data.frames': (1, 4096),
  'data.stride': (0, 4096),
  'data.shown': (0, 4095),
  'data.workers': (0, 256),
  'data.augment.pad': (0, 1024),
  'data.augment.crop': (0, 1024),
  'data.augment.shift': (0, 1024),
  'data.augment.rotate': (0, 180),
  'data.augment.brightness': (0, 1),
  'data.augment.contrast': (0, 1),
  'data.augment.saturation': (0, 1),
  'data.augment.hue': (0, 0.5),
  'data.augment.cutout': (0, 1024),
  'data.augment.mutate': (0, 1),
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
  'model.layer': (0, 1024),
  'model.width': (1, 2**16),
  'model.levels': (0, 2**16),
  'model.stem': (1, 64),
  'model.patch': (1, 256),
  'model.widths': (1, 2**20),
  'model.channels': (1, 2**16),
  'model.strides': (1, 2),
  'model.scale': (1e-6, math.inf),
  'model.floor': (1e-6, math.inf),
  'objective.samples': (1, 2**16),
  'objective.turns': (1, 100),
  'objective.generator_turns': (1, 100),
  'objective.packing': (1, 16),
  'objective.rows': (0, 2**31),
  'objective.shift': (0, 64),
  'objective.soften': (0, 1),
  'objective.share': (0, 1),
  'eval.every': (0, 2**31),
  'eval.batch_size': (1, 2**20),
  'eval.size': (0, 2**31),
  'eval.images': (1, 1024),
  'eval.log_every': (1, 2**31),
  'eval.patience': (0, 2**31),
  'checkpoint.every': (1, 2**31),
  'checkpoint.keep': (1, 1000),
}


def check_range(field: str, given: Any, ranges: Mapping[str, tuple] = RANGES) -> None:
  """Raises UserError for a value outside its field's range, or one that is not a number there."""
  # A player's section has the fields of `optimizer`, and a net inside `model` has those of `model`.
  name = re.sub(r'^(optimizer|model)\.\w+\.', r'\1.', field)
  name = 'hyper' if name.startswith('hyper.') else name
  low, high = ranges.get(name, (-math.inf, math.inf))
  for value in given if isinstance(given, tuple) else (given,):
    is_number = type(value) in (int, float)
    if name in ranges and value is not None and not is_number:
      raise UserError(f'{field}={repr(value)[:80]} is not a number')
    if is_number and not (low <= value <= high and abs(value) <= sys.float_info.max):
      limits = f'at least {low:g}' if high == math.inf else f'{low:g} to {high:,}'
      raise UserError(f'{field}={str(value)[:40]} is out of range. Use {limits}')


def check(config: ConfigDict) -> None:
  """Raises UserError for a value out of range, and for numbers that do not fit together."""
  fields = flat(config)
  for field, value in fields.items():
    check_range(field, value)
  for field in ('batch_size', 'data.labelled_batch'):
    if fields.get(field, 0) % config.optimizer.accumulate:
      raise UserError(
        f'{field}={fields[field]} is not a multiple of '
        f'optimizer.accumulate={config.optimizer.accumulate}'
      )
  start, end = config.optimizer.prune_start, config.optimizer.prune_end
  if start > end:
    raise UserError(
      f'optimizer.prune_start={start:g} is after optimizer.prune_end={end:g}. Use at most {end:g}'
    )
  if config.data.channels == 2:
    raise UserError('data.channels=2 is not possible. Use 1, 3, 4, or 0: those of the data')


def prunes(optimizer: ConfigDict) -> bool:
  """Whether an `optimizer` section prunes the nets of any player."""
  sections = [optimizer, *(value for value in optimizer.values() if isinstance(value, ConfigDict))]
  return any(section.prune for section in sections)
