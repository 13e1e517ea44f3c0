"""Configs: the fields that all of them have, the words after the colon, overrides, JSON."""

import copy
import importlib
import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from vaejax import settings
from vaejax.errors import UserError
from vaejax.fields import NAMES, check, convert, flat
from vaejax.fields import override as set_field
from vaejax.lookup import exists, nearest
from vaejax.schedules import depends_on_steps

PROJECT = Path(__file__).parent.parent  # where configs/ is, in a clone


def base(method: str, hyper: dict[str, float]) -> ConfigDict:
  """The fields of every config with their defaults; a config file sets what is its own."""
  config = ConfigDict()
  config.method = method
  config.seed = 0
  config.steps = 1000
  config.batch_size = 128
  config.evals = ('elbo',)  # what is computed at every test, see vaejax/evals
  config.init_from = ''  # the workdir of another run, whose nets this one begins from
  config.init_checkpoint = 'latest'  # of that run: latest, best or a step
  config.init_nets = ()  # which nets are taken from it, (): all that fit
  config.train = ()  # the nets that move, (): all
  config.keep_as_judge = False  # whether a finished run is kept as the judge of its dataset
  config.hyper = ConfigDict(hyper)
  # What multiplies each entry of hyper over the run, see engine.optim.schedule.
  config.schedule = ConfigDict(dict.fromkeys(hyper, 'constant'))
  config.optimizer = ConfigDict(
    {
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
    }
  )
  config.data = ConfigDict(
    {
      'name': '',  # a data set, see vaejax/data/sets, or any of TFDS, or its directory
      'size': 0,  # side in pixels, 0: as it comes
      'channels': 0,  # 1 or 3, 0: as it comes
      'fit': 'resize',  # or pad
      'binarise': 'none',
      'scale': 'unit',
      'flip': False,
      'validation': 0.0,  # rows of train held out, a count or a share; 0: the set's own, if any
      'mode': 'auto',  # resident, stream, or what fits the budget
      'budget_mb': 4096,
      'seed': placeholder(int),  # of the data order and noise, None: the run's
    }
  )
  config.model = ConfigDict()
  config.eval = ConfigDict(
    {
      'every': 1000,  # steps, 0: only at the end
      'batch_size': 200,
      'size': 10_000,  # test images while training, 0: all
      'images': 64,
      'log_every': 100,
    }
  )
  config.checkpoint = ConfigDict(
    {
      'every': 1000,
      'keep': 2,
      'best': '',  # a test metric, '-' before it where smaller is better; '': none is kept
    }
  )
  return config


def player(**fields: Any) -> ConfigDict:
  """A player's own section of `optimizer`: what it does not set is as for all players."""
  kinds = dict.fromkeys(('clip', 'b1', 'b2', 'eps', 'momentum', 'decay', 'weight_decay'), float)
  config = ConfigDict({name: placeholder(kind) for name, kind in {'name': str, **kinds}.items()})
  config.update(fields)
  return config


class Words(NamedTuple):
  """What stands after a config's colon: 'mnist,smoke,latents=32'."""

  dataset: str
  smoke: bool
  flags: tuple[str, ...]
  settings: tuple[tuple[str, str], ...]


def words(arg: str | None, dataset: str, flags: tuple[str, ...] = ()) -> Words:
  """Reads the comma-separated words; `dataset` is the one meant where none is named, `flags` are
  the words of this config alone. Raises UserError for two datasets."""
  smoke, named, given, settings = False, False, [], []
  for word in filter(None, (arg or '').split(',')):
    key, equals, value = word.partition('=')
    if equals:
      settings.append((key, value))
    elif settings and word.isdecimal():  # widths=64,32
      settings[-1] = (settings[-1][0], f'{settings[-1][1]},{word}')
    elif word == 'smoke':
      smoke = True
    elif word in flags:
      given.append(word)
    elif named:
      close = nearest(word, ('smoke', *flags))
      several = settings and settings[-1][0] in NAMES
      hint = f'; several names are {settings[-1][0]}={settings[-1][1]}+{word}' if several else ''
      raise UserError(
        f'{arg!r} names two datasets, {dataset} and {word}{close}: it takes one{hint}'
      )
    else:
      dataset, named = word, True
  return Words(dataset, smoke, tuple(given), tuple(settings))


def one(flags: Iterable[str], choices: Iterable[str], default: str) -> str:
  """The one of the flags that is among the choices, or the default. Raises UserError for two."""
  named = [flag for flag in dict.fromkeys(flags) if flag in choices]
  if len(named) > 1:
    raise UserError(f'{" and ".join(named)} are named: it takes one of them')
  return named[0] if named else default


def finish(config: ConfigDict, words: Words, smoke: dict[str, Any]) -> ConfigDict:
  """Applies `smoke` (dotted fields) where asked for, then the settings, and locks the fields."""
  config.lock()
  tiny = {'steps': 20, 'batch_size': 16, 'eval.every': 10, 'eval.size': 64, 'eval.batch_size': 32}
  tiny |= {'eval.log_every': 5, 'eval.images': 16, 'checkpoint.every': 10}
  if words.smoke:
    config.update_from_flattened_dict(tiny | smoke)
  settings.add(config, smoke=words.smoke)
  for key, value in words.settings:
    override(config, key, value, words.smoke)
  return config


def override(config: ConfigDict, field: str, text: str, smoke: bool = False) -> None:
  """Sets a field from its text, as fields.override does, and adds the settings of the evals that
  it names. Raises UserError."""
  own = settings.of_field(config, field)
  settings.add(config, own, smoke)
  set_field(config, field, text)
  settings.add(config, own, smoke)


def available() -> list[str]:
  """The config files under configs/, as they are named on the command line."""
  here = Path('configs') if Path('configs').is_dir() else PROJECT / 'configs'
  return sorted(str(path) for path in here.glob('*.py'))


def load(spec: str | ConfigDict, overrides: Iterable[tuple[str, str]] = ()) -> ConfigDict:
  """The config of 'configs/vae.py:mnist,smoke', or of a module by dotted name, as in
  'mylab.flow:mnist', or a copy of one; with overrides, checked. Raises UserError."""
  if isinstance(spec, ConfigDict):
    return overridden(copy.deepcopy(spec), 'given', overrides)
  if not isinstance(spec, str):
    kind = type(spec).__name__
    raise UserError(f'config is a {kind}: it takes a text, as configs/vae.py:digits, or a config')
  path, _, arg = spec.partition(':')
  # A file's path may be that in the project's folder, from wherever one is.
  places = [place for place in (Path(path), PROJECT / path) if place.is_file()]
  module = read_file(str(places[0])) if places else read_module(path)
  if not hasattr(module, 'get_config'):
    raise UserError(f'config {path!r} has no get_config(arg): see configs/vae.py')
  return overridden(module.get_config(arg), path, overrides)


def overridden(config: Any, path: str, overrides: Iterable[tuple[str, str]]) -> ConfigDict:
  """The config that a path gives, with overrides, checked. Raises UserError."""
  if not isinstance(config, ConfigDict) or any(name not in config for name in base('', {})):
    raise UserError(f'config {path!r} gives no config: get_config(arg) starts from base(...)')
  config.lock()
  for field, text in overrides:
    override(config, field, text)
  check(config)
  return config


def stem(spec: str) -> str:
  """What a config is called: 'vae' of 'configs/vae.py:mnist' and of 'mylab.configs.vae:mnist'."""
  path = spec.partition(':')[0]
  return Path(path).stem if path.endswith('.py') else path.split('.')[-1]


def read_file(path: str):
  """The module of a file anywhere. Raises UserError where it is not Python."""
  found = importlib.util.spec_from_file_location(Path(path).stem, path)
  if found is None:
    raise UserError(f'config {path!r} is not a Python file: it takes a .py file with get_config')
  module = importlib.util.module_from_spec(found)
  found.loader.exec_module(module)
  return module


def read_module(name: str):
  """The module of a dotted name. Raises UserError where there is none."""
  words = name.split('.')
  if len(words) > 1 and all(map(str.isidentifier, words)) and words[-1] != 'py' and exists(name):
    return importlib.import_module(name)
  known = available()
  there = f'there are {", ".join(known)}' if known else 'run from the project folder'
  stems = {Path(path).stem: path for path in known}
  close = nearest(Path(name).stem, stems, stems)
  raise UserError(f'no config {name!r}{close}: {there}; or a module, as in mylab.configs.flow')


def plain(config: ConfigDict) -> dict[str, Any]:
  """The config as JSON takes it."""
  return json.loads(config.to_json_best_effort())


def restore(saved: Any) -> ConfigDict:
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
