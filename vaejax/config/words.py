"""The words after a config's colon: 'mnist,smoke,latents=32'."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from vaejax.config import eval_settings
from vaejax.config.fields import NAMES
from vaejax.config.load import set_field
from vaejax.errors import UserError
from vaejax.lookup import nearest


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
  eval_settings.add(config, smoke=words.smoke)
  for key, value in words.settings:
    set_field(config, key, value, words.smoke)
  return config
