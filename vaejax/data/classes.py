"""Labels of any kind as classes: they become int32 0 to classes - 1, and each class has a name.

A reader makes the names once, from the labels of all splits (`class_names`), and then encodes each
split or each block of a stream with them (`encode`).
"""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from vaejax.errors import UserError
from vaejax.plural import counted

MISSING = -1  # the label of a row without one
MISSING_TYPES = 'NoneType', 'NAType', 'NaTType'  # the last two are of pandas
WHOLE = re.compile(r'-?[0-9]{1,99}')
SHOWN = 10  # names of classes in a line


def encode(
  values: Any, names: Sequence[str] | None = None, origin: str = 'the labels'
) -> tuple[np.ndarray, tuple[str, ...]]:
  """Labels as int32 [N], and the names of the classes: label i is the class `names[i]`.

  -1, '', None and NaN are rows without a label, which become -1.

  Args:
    values: [N] or [N, 1] whole numbers of any dtype (also stored as floats), booleans, text, or
      bytes in UTF-8.
    names: the names of the classes, from `class_names`; None: those of the values.
    origin: whose labels these are, for errors.

  Raises:
    UserError: the values are not labels, or one of them is not in `names`.
  """
  texts, inverse = distinct(values, origin)
  names = ordered(texts) if names is None else tuple(names)
  number = {name: i for i, name in enumerate(names)}
  if unknown := [text for text in texts if text is not None and text not in number]:
    raise UserError(
      f'{origin} have {unknown[0]!r}, which is not one of {describe(names)}. Correct it, or leave '
      'it empty for a row without a label'
    )
  codes = np.asarray([number.get(text, MISSING) for text in texts], np.int32)
  return codes[inverse], names


def class_names(parts: Iterable[Any], origin: str = 'the labels') -> tuple[str, ...]:
  """The names of all classes that occur in some arrays of labels: splits, or blocks of one.

  They are sorted by value if all are whole numbers, else as text. Raises UserError, see `encode`.
  """
  texts = set()
  for values in parts:
    texts.update(distinct(values, origin)[0])
  return ordered(texts)


def ordered(texts: Iterable[str | None]) -> tuple[str, ...]:
  """The distinct names without None, sorted: by value if all are whole numbers, else as text."""
  names = {text for text in texts if text is not None}
  if all(WHOLE.fullmatch(name) for name in names):
    return tuple(sorted(names, key=lambda name: (int(name), name)))
  return tuple(sorted(names))


def distinct(values: Any, origin: str) -> tuple[list[str | None], np.ndarray]:
  """The different values as text, None for a missing label, and the index [N] of each row's value
  among them. Raises UserError."""
  try:
    x = np.asarray(values)
  except (ValueError, TypeError):
    raise UserError(f'{origin} differ in shape. Give one label for each row') from None
  x = x[:, 0] if x.ndim == 2 and x.shape[1] == 1 else x
  if x.ndim != 1:
    hint = ' (for one-hot labels, use labels.argmax(1))' if x.ndim == 2 else ''
    raise UserError(
      f'{origin} have the shape {list(x.shape)}. Give one label for each row, [N]{hint}'
    )
  if x.dtype.kind in 'iubf':
    unique, inverse = np.unique(x, return_inverse=True)
    unique = unique.tolist()
  else:
    # A dict is faster than sorting text.
    position: dict[Any, int] = {}
    try:
      inverse = np.fromiter(
        (position.setdefault(value, len(position)) for value in x.tolist()), np.int64, len(x)
      )
    except TypeError:
      raise UserError(f'{origin} are lists or arrays. Give one label for each row') from None
    unique = list(position)
  return [text(value, origin) for value in unique], inverse


def text(value: Any, origin: str) -> str | None:
  """The name of a raw label, None for a missing one. Raises UserError if it is not a label."""
  if isinstance(value, bytes):
    value = value.decode('utf-8', 'backslashreplace')
  if isinstance(value, float | np.floating):
    if value != value:
      return None
    if not value.is_integer():
      raise UserError(
        f'{origin} are real numbers such as {value:g}, not classes. Give whole numbers or text, or '
        'name another field with data.label'
      )
    value = int(value)
  if type(value).__name__ in MISSING_TYPES:
    return None
  if not isinstance(value, str | int | np.integer | np.bool_):
    raise UserError(
      f'{origin} are of the type {type(value).__name__}. Give whole numbers or text, or name '
      'another field with data.label'
    )
  # Macs store accents as separate characters.
  name = unicodedata.normalize('NFC', str(value))
  return None if name in ('', str(MISSING)) else name


def check(label: np.ndarray, classes: int | None, origin: str) -> None:
  """Raises UserError if a label [N] is not below the number of classes that was declared."""
  largest = int(label.max()) if len(label) else MISSING
  if classes is not None and largest >= classes:
    raise UserError(
      f'{origin} has the label {largest}, but declares '
      f'{counted(classes, "class", "classes")}, 0 to {classes - 1}. '
      'Correct its labels or its number of classes'
    )


def describe(names: Sequence[str], count: int | None = None) -> str:
  """One phrase such as '3 classes: cat, dog, owl', shortened if there are many of them."""
  count = len(names) if count is None else count
  noun = counted(count, 'class', 'classes')
  return f'{noun}: {in_words(names)}' if names and not trivial(names) else noun


def in_words(names: Sequence[str]) -> str:
  """Names in one phrase, the first few and the last one if there are many."""
  shown = [*names[: SHOWN - 2], '...', names[-1]] if len(names) > SHOWN else names
  return ', '.join(shown)


def trivial(names: Sequence[str]) -> bool:
  """Whether the names of classes are just their numbers."""
  return all(name == str(i) for i, name in enumerate(names))


def named_by_numbers(names: Sequence[str]) -> bool:
  """Whether classes are called by whole numbers that are not their own, such as 1 to 10."""
  return not trivial(names) and all(WHOLE.fullmatch(name) for name in names)


def name_of(number: int, names: Sequence[str]) -> str:
  """A class in words: its name, quoted, or without names its number."""
  return repr(names[number]) if names and not trivial(names) else str(number)


def index(given: str, names: Sequence[str], classes: int) -> int:
  """The class that a user's text names: the name of a class, exactly, or its number.

  If the names are whole numbers themselves, such as 0, 5 and 9, only they are accepted. Raises
  UserError.
  """
  given = unicodedata.normalize('NFC', given)
  composed = [unicodedata.normalize('NFC', name) for name in names]
  if given in composed:
    return composed.index(given)
  if not named_by_numbers(names) and given.isdecimal() and int(given) < classes:
    return int(given)
  close = difflib.get_close_matches(given, names, 1) or [
    name for name in names if name.lower() == given.lower()
  ]
  hint = f' (did you mean {close[0]!r}?)' if close else ''
  if names and not trivial(names):
    raise UserError(f'label={given!r} is not one of the {describe(names)}{hint}')
  raise UserError(f'label={given!r} is not a class from 0 to {classes - 1}')
