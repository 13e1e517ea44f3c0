"""The words after a config's colon: 'mnist,smoke,latents=32'."""

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from vaejax.config import eval_settings
from vaejax.config.fields import NAMES
from vaejax.config.load import set_field
from vaejax.errors import UserError
from vaejax.lookup import nearest

SMOKE = {
  'steps': 20,
  'batch_size': 16,
  'eval.every': 10,
  'eval.size': 64,
  'eval.batch_size': 32,
  'eval.log_every': 5,
  'eval.images': 16,
  'checkpoint.every': 10,
}


class Words(NamedTuple):
  """The words after a config's colon.

  Attributes:
    dataset: its name.
    smoke: whether to train at the small size of the tests.
    options: words that only this config has.
    settings: (field, text) of each key=value.
  """

  dataset: str
  smoke: bool
  options: tuple[str, ...]
  settings: tuple[tuple[str, str], ...]


def parse_words(arg: str | None, dataset: str, options: tuple[str, ...] = ()) -> Words:
  """Parses the comma-separated words of a config with a default dataset and its own options.

  Raises UserError if they name two datasets.
  """
  smoke, has_dataset, chosen, settings = False, False, [], []
  for word in filter(None, (arg or '').split(',')):
    key, equals, value = word.partition('=')
    if equals and os.sep not in key:
      settings.append((key, value))
    elif settings and word.isdecimal():  # widths=64,32
      settings[-1] = (settings[-1][0], f'{settings[-1][1]},{word}')
    elif word == 'smoke':
      smoke = True
    elif word in options:
      chosen.append(word)
    elif has_dataset and os.path.exists(os.path.expanduser(f'{dataset},{word}')):
      dataset = f'{dataset},{word}'  # a path with a comma
    elif has_dataset:
      close, hint = nearest(word, ('smoke', *options)), ''
      if settings and settings[-1][0] in NAMES:
        hint = f', or {settings[-1][0]}={settings[-1][1]}+{word} for several names'
      raise UserError(f'{arg!r} names two datasets, {dataset} and {word}{close}. Use one{hint}')
    else:
      dataset, has_dataset = word, True
  return Words(dataset, smoke, tuple(chosen), tuple(settings))


def choose_one(options: Iterable[str], choices: Iterable[str], default: str) -> str:
  """Returns the option that is one of the choices, or the default. Raises UserError for two."""
  chosen = [option for option in dict.fromkeys(options) if option in choices]
  if len(chosen) > 1:
    raise UserError(f'{" and ".join(chosen)} exclude each other. Use one of them')
  return chosen[0] if chosen else default


def finish(config: ConfigDict, words: Words, smoke: dict[str, Any]) -> ConfigDict:
  """Applies the smoke size, {dotted field: value}, if the words have it, and then their settings.

  Returns the config, whose fields are locked.
  """
  config.lock()
  if words.smoke:
    config.update_from_flattened_dict(SMOKE | smoke)
  eval_settings.add(config, smoke=words.smoke)
  for key, value in words.settings:
    set_field(config, key, value, words.smoke)
  return config
