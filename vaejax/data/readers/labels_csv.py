"""Labels and factors of files, from a table of text: labels.csv."""

import csv
import math
import os
import unicodedata
from typing import NamedTuple

import numpy as np

from vaejax.data import classes
from vaejax.errors import UserError
from vaejax.plural import counted

NAME = 'labels.csv'
FILES = 'file', 'filename', 'file_name', 'path', 'image'  # names that the column of files can have
MISSING = '', 'nan'
# A column of text with more values than this, and than half its rows, describes single rows.
MAX_VALUES = 100


class Column(NamedTuple):
  """Values of all files int32 [N], -1 where there is none, and the name of each value."""

  values: np.ndarray
  names: tuple[str, ...]


class Labels(NamedTuple):
  """{column: Column} of classes, names of columns of real numbers or of text that differs from row
  to row, and lines for the user."""

  columns: dict[str, Column]
  ignored: list[str]
  notes: list[str]


def read(root: str, names: list[str], noun: str = 'picture') -> Labels:
  """The labels.csv of a folder, for files of these names relative to it; nothing if there is none.
  Messages call a file a `noun`.

  Its column `file` has names relative to the folder, with or without ending. Raises UserError if
  the table cannot be read, has no such column, or names no file of `names`.
  """
  path = os.path.join(root, NAME)
  if not os.path.isfile(path):
    return Labels({}, [], [])
  header, rows = read_rows(path)
  file_column = next((i for i, h in enumerate(header) if h.lower() in FILES), None)
  if file_column is None:
    raise UserError(
      f'{path} has no column called file, only {", ".join(header)}. Name the column of files so'
    )
  by_file = {}
  for line, row in rows:
    file = plain(row[file_column])
    if by_file.setdefault(file, row) != row:
      raise UserError(f'{path}, line {line}: {row[file_column]} has another row too. Remove one')
  matches, used = [], set()
  for name in names:
    name = plain(name)
    key = name if name in by_file else os.path.splitext(name)[0]
    matches.append(by_file.get(key))
    used.add(key)
  unused = [file for file in by_file if file not in used]
  without = sum(row is None for row in matches)
  notes = []
  if unused:
    name_none = counted(len(unused), f'row names no {noun}', f'rows name no {noun}')
    notes.append(f'{NAME}: {name_none}, such as {unused[0]}')
  if without == len(names):
    raise UserError(
      f'{path} names none of the {noun}s: {rows[0][1][file_column] if rows else "it has no rows"}'
      f', but {names[0]} is one. Write names relative to {root}'
    )
  if without:
    of_all = counted(len(names), noun)
    notes.append(f'{NAME}: {without:,} of {of_all} {"has" if without == 1 else "have"} no row')
  columns, ignored = {}, []
  for i, name in enumerate(header):
    if i != file_column:
      column = column_of([row[i].strip() if row else '' for row in matches], name)
      columns |= {name: column} if column else {}
      ignored += [] if column else [name]
  return Labels(columns, ignored, notes)


def read_rows(path: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
  """The header of a table, and its rows with their line numbers. Raises UserError."""
  try:
    # utf-8-sig skips the byte order mark that spreadsheets write.
    with open(path, encoding='utf-8-sig', newline='') as file:
      start = file.readline()
      delimiter = max(',;\t', key=start.count)
      file.seek(0)
      reader = csv.reader(file, delimiter=delimiter)
      header = [name.strip() for name in next(reader, [])]
      rows = [(reader.line_num, row) for row in reader if any(row)]
  except (OSError, UnicodeDecodeError, csv.Error) as error:
    raise UserError(f'{path} cannot be read: {error}. Save it as CSV in UTF-8') from None
  if twice := [name for name in header if header.count(name) > 1]:
    raise UserError(f'{path} has several columns called {twice[0]!r}. Rename or remove one')
  for line, row in rows:
    if len(row) != len(header):
      has = counted(len(row), 'column')
      raise UserError(f'{path}, line {line} has {has}, but the first {len(header)}')
  return header, rows


def column_of(texts: list[str], name: str) -> Column | None:
  """The classes of a column. None for real numbers, and for text that differs in most rows."""
  texts = ['' if text.lower() in MISSING else text for text in texts]
  numbers = [number(text) for text in texts if text]
  if numbers and None not in numbers:
    if not all(value.is_integer() for value in numbers):
      return None
    texts = [whole(text) if text else '' for text in texts]
  values, names = classes.encode(texts, origin=f'{NAME}: {name}')
  several = len(names) > max(MAX_VALUES, sum(map(bool, texts)) / 2)
  return None if several and None in numbers else Column(values, names)


def number(text: str) -> float | None:
  """The number in a text; None if it is not a number, or not finite."""
  try:
    value = float(text)
  except ValueError:
    return None
  return value if math.isfinite(value) else None


def whole(text: str) -> str:
  """A whole number in one form, '' for a negative one, which is no class. Columns with gaps often
  have 3.0 for 3; digits alone are not read as a float, which could round them."""
  value = int(text) if classes.WHOLE.fullmatch(text) else int(float(text))
  return str(value) if value >= 0 else ''


def plain(file: str) -> str:
  """A relative file name in one form."""
  return unicodedata.normalize('NFC', file.strip().replace('\\', '/')).removeprefix('./')
