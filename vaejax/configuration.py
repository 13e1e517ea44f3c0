"""Configs: the fields that all of them have, the words after the colon, overrides, JSON."""

import ast
import importlib.util
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vaejax.errors import UserError
from vaejax.lookup import nearest


def base(method: str, hyper: dict[str, float]) -> ConfigDict:
  """The fields of every config with their defaults; a config file sets what is its own."""
  config = ConfigDict()
  config.method = method
  config.seed = 0
  config.steps = 1000
  config.batch_size = 128
  config.hyper = ConfigDict(hyper)
  # What multiplies each entry of hyper over the run, see engine.optim.schedule.
  config.schedule = ConfigDict(dict.fromkeys(hyper, 'constant'))
  config.optimizer = ConfigDict({
    'name': 'adam',
    'clip': 0.0,  # largest global norm of a gradient, 0: off
    'accumulate': 1,  # microbatches in one update
    'ema': 0.0,  # decay of the average that is evaluated and sampled from, 0: off
    'b1': placeholder(float),  # None leaves optax's own default
    'b2': placeholder(float),
    'eps': placeholder(float),
    'momentum': placeholder(float),
    'decay': placeholder(float),
    'weight_decay': placeholder(float),
  })
  config.data = ConfigDict({
    'name': 'digits',
    'size': 0,  # side in pixels, 0: as it comes
    'channels': 0,  # 1 or 3, 0: as it comes
    'fit': 'resize',  # or pad
    'binarise': 'none',
    'scale': 'unit',
    'flip': False,
    'mode': 'auto',  # resident, stream, or what fits the budget
    'budget_mb': 4096,
    'seed': placeholder(int),  # of the data order and noise, None: the run's
  })
  config.model = ConfigDict()
  config.eval = ConfigDict({
    'every': 1000,  # steps, 0: only at the end
    'batch_size': 200,
    'size': 10_000,  # test images while training, 0: all
    'nll_samples': 5000,  # importance samples
    'images': 64,
    'log_every': 100,
  })
  config.checkpoint = ConfigDict({
    'every': 1000,
    'keep': 2,
    'best': '',  # a test metric, '-' before it where smaller is better; '': none is kept
  })
  return config


class Words(NamedTuple):
  """What stands after a config's colon: 'mnist,smoke,latents=32'."""

  dataset: str
  smoke: bool
  flags: tuple[str, ...]
  settings: tuple[tuple[str, str], ...]


def words(arg: str | None, dataset: str, flags: tuple[str, ...] = ()) -> Words:
  """Reads the comma-separated words; `dataset` is the one meant where none is named, `flags` are
  the words of this config alone."""
  smoke, given, settings = False, [], []
  for word in filter(None, (arg or '').split(',')):
    key, equals, value = word.partition('=')
    if equals:
      settings.append((key, value))
    elif word == 'smoke':
      smoke = True
    elif word in flags:
      given.append(word)
    else:
      dataset = word
  return Words(dataset, smoke, tuple(given), tuple(settings))


def finish(config: ConfigDict, words: Words, smoke: dict[str, Any]) -> ConfigDict:
  """Applies `smoke` (dotted fields) where asked for, then the settings, and locks the fields."""
  config.lock()
  tiny = {'steps': 20, 'batch_size': 16, 'eval.every': 10, 'eval.size': 64, 'eval.batch_size': 32}
  tiny |= {'eval.log_every': 5, 'eval.nll_samples': 20, 'eval.images': 16, 'checkpoint.every': 10}
  if words.smoke:
    config.update_from_flattened_dict(tiny | smoke)
  for key, value in words.settings:
    override(config, key, value)
  return config


def flat(config: ConfigDict) -> dict[str, Any]:
  """{dotted field: value}, in the config's order."""
  fields = {}
  for name in config:
    value = config[name]
    inner = flat(value) if isinstance(value, ConfigDict) else {'': value}
    fields |= {f'{name}.{k}'.rstrip('.'): v for k, v in inner.items()}
  return fields


def override(config: ConfigDict, field: str, text: str) -> None:
  """Sets a field from its text. The last part of its name is enough where only one field has it.

  Raises UserError, with the nearest name or the type that the field takes.
  """
  fields = flat(config)
  short = [name for name in fields if name.split('.')[-1] == field]
  field = short[0] if field not in fields and len(short) == 1 else field
  if field not in fields:
    close = nearest(field, [*fields, *(name.split('.')[-1] for name in fields)])
    several = f': there are {", ".join(short)}' if short else close
    raise UserError(f'unknown config field {field!r}{several}')
  *path, last = field.split('.')
  inner = config
  for name in path:
    inner = inner[name]
  kind = inner.get_type(last)
  inner[last] = None if text == 'None' and fields[field] is None else read(field, kind, text)


def read(field: str, kind: type, text: str) -> Any:
  """A value of that type from its text. Raises UserError."""
  if kind is str:
    return text
  try:
    value = ast.literal_eval(text)
  except (ValueError, SyntaxError, MemoryError, RecursionError):
    value = {'true': True, 'false': False}.get(text)
  number = isinstance(value, int | float) and not isinstance(value, bool)
  if kind is float and number and math.isfinite(value):
    return float(value)
  if kind is int and number and value == int(value):
    return int(value)
  if kind is bool and isinstance(value, bool):
    return value
  if kind is tuple:
    value = value if isinstance(value, tuple | list) else (value,)
    if all(type(v) is int for v in value):
      return tuple(value)
  wanted = {tuple: 'whole numbers, as in 64,32', bool: 'True or False', int: 'a whole number'}
  raise UserError(f'{field}={text!r}: it takes {wanted.get(kind, "a number")}')


# Smallest and largest value of numeric fields; `hyper` and the models' own are checked as well.
RANGES = {
  'seed': (0, 2**32 - 1),
  'steps': (1, 2**31 - 2),
  'batch_size': (1, 2**20),
  'hyper.lr': (0, math.inf),
  'hyper.beta': (0, math.inf),
  'hyper.capacity': (0, math.inf),
  'hyper.free_bits': (0, math.inf),
  'optimizer.clip': (0, math.inf),
  'optimizer.accumulate': (1, 2**20),
  'optimizer.ema': (0, 0.999999),
  'optimizer.b1': (0, 1),
  'optimizer.b2': (0, 1),
  'optimizer.momentum': (0, 1),
  'optimizer.decay': (0, 1),
  'data.size': (0, 1024),
  'data.channels': (0, 3),
  'data.budget_mb': (0, 2**30),
  'data.seed': (0, 2**32 - 1),
  'model.latents': (1, 2**16),
  'model.kernel': (1, 15),
  'model.blocks': (0, 64),
  'model.widths': (1, 2**20),
  'model.channels': (1, 2**16),
  'model.strides': (1, 2),
  'model.scale': (1e-6, math.inf),
  'model.floor': (1e-6, math.inf),
  'objective.samples': (1, 2**16),
  'eval.every': (0, 2**31),
  'eval.batch_size': (1, 2**20),
  'eval.size': (0, 2**31),
  'eval.nll_samples': (1, 2**31),
  'eval.images': (1, 1024),
  'eval.log_every': (1, 2**31),
  'checkpoint.every': (1, 2**31),
  'checkpoint.keep': (1, 1000),
}


def check(config: ConfigDict) -> None:
  """Raises UserError for a value out of range, or numbers that do not fit together."""
  fields = flat(config)
  for field, (low, high) in RANGES.items():
    given = fields.get(field)
    for value in given if isinstance(given, tuple) else (given,):
      if value is not None and not low <= value <= high:
        wanted = f'at least {low:g}' if high > 2**33 else f'{low:g} to {high:g}'
        raise UserError(f'{field}={value} is out of range: it takes {wanted}')
  if config.batch_size % config.optimizer.accumulate:
    raise UserError(
      f'batch_size={config.batch_size} does not split into optimizer.accumulate='
      f'{config.optimizer.accumulate} equal parts'
    )
  if config.data.channels == 2:
    raise UserError('data.channels=2: it takes 1, 3, or 0 for the data as it comes')


def available() -> list[str]:
  """The config files under configs/, as they are named on the command line."""
  return sorted(str(path) for path in Path('configs').glob('*.py'))


def load(spec: str, overrides: Iterable[tuple[str, str]] = ()) -> ConfigDict:
  """The config of 'configs/vae.py:mnist,smoke', with overrides, checked. Raises UserError."""
  path, _, arg = spec.partition(':')
  if not Path(path).is_file():
    known = available()
    raise UserError(f'no config {path!r}{nearest(path, known)}: there are {", ".join(known)}')
  found = importlib.util.spec_from_file_location(Path(path).stem, path)
  if found is None:
    raise UserError(f'config {path!r} is not a Python file: it takes a .py file with get_config')
  module = importlib.util.module_from_spec(found)
  found.loader.exec_module(module)
  if not hasattr(module, 'get_config'):
    raise UserError(f'config {path!r} has no get_config(arg): see configs/vae.py')
  config = module.get_config(arg)
  for field, text in overrides:
    override(config, field, text)
  check(config)
  return config


def plain(config: ConfigDict) -> dict[str, Any]:
  """The config as JSON takes it."""
  return json.loads(config.to_json_best_effort())


def restore(saved: Any) -> ConfigDict:
  """The config from `plain`, checked field by field. Raises UserError where it is not one."""
  if not isinstance(saved, dict):
    raise UserError('it holds no config')
  skeleton = base('', {})
  config = ConfigDict()
  for name in skeleton:
    if name not in saved:
      raise UserError(f'it has no field {name!r}')
  for name, value in saved.items():
    config[name] = tidy(name, value, skeleton.get(name))
  config.lock()
  if config.hyper.keys() != config.schedule.keys():
    raise UserError('hyper and schedule name different entries')
  check(config)
  return config


def tidy(field: str, value: Any, like: Any) -> Any:
  """JSON's value as the config had it: tuples for lists, floats and None where the base has them.

  Raises UserError for a value of another type than the base config's.
  """
  if isinstance(value, dict):
    inner = ConfigDict()
    for name, v in value.items():
      below = like.get(name) if isinstance(like, ConfigDict) else None
      if value is not None and v is None and isinstance(like, ConfigDict) and name in like:
        inner[name] = placeholder(like.get_type(name))
      else:
        inner[name] = tidy(f'{field}.{name}', v, below)
    missing = [n for n in like if n not in value] if isinstance(like, ConfigDict) else []
    if missing:
      raise UserError(f'it has no field {field}.{missing[0]}')
    return inner
  if isinstance(value, list):
    value = tuple(value)
    if not all(type(v) is int for v in value):
      raise UserError(f'{field}={value!r}: it takes whole numbers')
  if field.startswith('hyper.') and type(value) in (int, float):
    return float(value)
  if like is not None and type(value) is not type(like):
    raise UserError(f'{field}={value!r}: it takes a {type(like).__name__}')
  return value


def differences(old: ConfigDict, new: ConfigDict) -> list[str]:
  """The fields in which two configs differ and may not on a resume: 'hyper.beta: 1.0 -> 4.0'.

  `eval` and `checkpoint` may change, and `steps` too where no schedule stretches over them.
  """
  from vaejax.engine.optim import depends_on_steps

  before, after = flat(old), flat(new)
  fixed = any(depends_on_steps(text) for text in new.schedule.values())
  found = []
  for field in {**before, **after}:
    free = field.split('.')[0] in ('eval', 'checkpoint') or (field == 'steps' and not fixed)
    a, b = before.get(field, 'absent'), after.get(field, 'absent')
    if a != b and not free:
      found.append(f'{field}: {a} -> {b}')
  return found
