"""What an edit adds or removes: a class, the value of a factor, or the pictures of a folder."""

import os
from typing import NamedTuple

import numpy as np

from vaejax.data import classes
from vaejax.errors import UserError
from vaejax.lookup import choice


class Side(NamedTuple):
  """What is added or removed: a value, the pictures of a folder, or by default all other rows.

  Attributes:
    title: in words.
    value: the class or the factor's value; None for other sides.
    pictures: of a folder, [N, H, W, C]; None for other sides.
  """

  title: str
  value: int | None = None
  pictures: np.ndarray | None = None


def factor_of(model, name: str) -> int | None:
  """The column of a factor; None for the label. Raises UserError for a name that is not there."""
  names = [factor for factor, _ in model.example.factors]
  if not name or name == 'label':
    return None
  if not names:
    raise UserError(f'factor={name!r}: the data of this run has no factors. Leave it out')
  return names.index(choice('factor', name, names))


def parts(add) -> list:
  """The versions that are asked for."""
  if isinstance(add, np.ndarray):
    return [add]
  words = [part for part in add.split(',') if part]
  return [add] if len(words) > 1 and files_exist(words[0]) < files_exist(add) else words


def files_exist(text: str) -> bool:
  """Whether a text is the path of a file or a folder."""
  return os.path.exists(os.path.expanduser(text))


def side(model, given, column: int | None, factor: str, fit: str = '') -> Side | None:
  """One side of the change, from a value, a path or pictures. `fit`: see Run.read. Raises
  UserError."""
  if isinstance(given, str) and not given:
    return None
  text = '' if isinstance(given, np.ndarray) else given
  is_value = text.isdecimal() or text in model.example.class_names
  if not text or '/' in text or (not is_value and files_exist(text)):
    title = text.rstrip('/').rpartition('/')[2] or 'pictures'
    return Side(title, pictures=model.read(given, 'pictures', fit))
  if column is not None:
    count = model.example.factors[column][1]
    if not given.isdecimal() or int(given) >= count:
      raise UserError(f'{given!r} is not a value of {factor}. Use 0 to {count - 1}, or a folder')
    return Side(f'{factor} {given}', int(given))
  if model.example.classes is None:
    hint = f', or --factor={model.example.factors[0][0]}' if model.example.factors else ''
    raise UserError(f'{given!r} is no folder, and the data has no classes. Give a folder{hint}')
  value = classes.index(given, model.example.class_names, model.example.classes)
  return Side(model.example.class_names[value] if model.example.class_names else given, value)
