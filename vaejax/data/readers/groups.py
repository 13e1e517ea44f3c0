"""The splits and classes that the names of files in folders describe."""

import itertools
import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# The names of folders that are splits: train, Training, val2017, test_1.
SPLIT = re.compile(r'(?:(train(?:ing)?)|(val(?:id(?:ation)?)?)|test(?:ing)?)(?:[_-]?\d+)?', re.I)
TEST = 0.1  # the proportion of files that are test, without a test folder


class Groups(NamedTuple):
  """The files of each stored split.

  Attributes:
    rows: {split: indices of its files, in order}; a single 'train' if no folders are splits.
    places: {split: the names of these files below its folder}.
    outside: number of files that are in no folder of a split.
  """

  rows: dict[str, np.ndarray]
  places: dict[str, list[str]]
  outside: int


def group(names: list[str]) -> Groups:
  """The stored splits of sorted names 'folder/file', which are its folders called train,
  validation, test and the like, see SPLIT.

  Folders that contain everything are skipped. Splits can also be in each folder of a class:
  'cat/train/1.png'. Without a train folder there are no splits. A train folder among other folders
  that are no splits is a class of that name.
  """
  start = len(shared_folders(names, stop=split_of))
  below = split_first([name[start:] for name in names])
  folders = {folder for name in below if (folder := first_folder(name))}
  splits = {folder: split for folder in folders if (split := split_of(folder))}
  kinds = set(splits.values())
  if 'train' not in kinds or (len(kinds) == 1 and len(folders) > len(splits)):
    return Groups({'train': np.arange(len(names))}, {'train': below}, 0)
  rows, places = {}, {}
  for i, name in enumerate(below):
    folder = first_folder(name)
    if folder in splits:
      rows.setdefault(splits[folder], []).append(i)
      places.setdefault(splits[folder], []).append(name[len(folder) + 1 :])
  kept = sum(map(len, rows.values()))
  return Groups({k: np.asarray(v) for k, v in rows.items()}, places, len(names) - kept)


def split_of(folder: str) -> str | None:
  """The split that a folder is by its name, None for another."""
  match = SPLIT.fullmatch(folder)
  return match and ('train' if match[1] else 'validation' if match[2] else 'test')


def split_first(names: list[str]) -> list[str]:
  """Names 'cat/train/1.png' as 'train/cat/1.png', if all of them have a split in second place."""
  parts = [name.split('/', 2) for name in names]
  if all(len(part) == 3 and split_of(part[1]) for part in parts):
    return [f'{split}/{folder}/{rest}' for folder, split, rest in parts]
  return names


def with_test(rows: dict[str, np.ndarray], fractions: np.ndarray) -> dict[str, np.ndarray]:
  """The splits that are read: always train and test, and validation if it is not the test split.

  A missing test split is the validation split, or else the training files whose fraction is below
  TEST: at least one, and not all. A single picture is both train and test.
  """
  rows = dict(rows)
  if 'test' not in rows and 'validation' in rows:
    rows['test'] = rows.pop('validation')
  if 'test' not in rows:
    train = rows['train']
    if len(train) > 1:
      of_train = fractions[train]
      test = of_train < TEST
      test[np.argmin(of_train)], test[np.argmax(of_train)] = True, False
      rows |= {'train': train[~test], 'test': train[test]}
    else:
      rows['test'] = train
  return {split: rows[split] for split in ('train', 'validation', 'test') if split in rows}


def classes(places: dict[str, list[str]]) -> tuple[list[str], dict[str, np.ndarray]]:
  """The names of the class folders, sorted, and {split: labels int32, -1 outside of them}.

  The classes are the first folders below those that all files of a split share, if there are at
  least two in any split. They are the same for all splits.
  """
  # Macs store accents as separate characters, which must not make two classes of one.
  places = {s: [unicodedata.normalize('NFC', name) for name in x] for s, x in places.items()}
  shared = {split: shared_folders(names) for split, names in places.items()}
  firsts = {
    split: [first_folder(name[len(shared[split]) :]) for name in names]
    for split, names in places.items()
  }
  several = {split: kinds for split, x in firsts.items() if len(kinds := {*x} - {''}) > 1}
  for split in places:
    # A split of one class shares its folder, whose subfolders are no classes.
    others = set().union(*(kinds for s, kinds in several.items() if s != split))
    if above := [folder for folder in shared[split].split('/') if folder in others]:
      firsts[split] = above[:1] * len(places[split])
      several.pop(split, None)
  names = sorted(set().union(*several.values()))
  number = {name: i for i, name in enumerate(names)}
  labels = {
    split: np.asarray([number.get(folder, -1) for folder in folders], np.int32)
    for split, folders in firsts.items()
  }
  return names, labels


def first_folder(name: str) -> str:
  """'a' of 'a/b/c', '' of 'c'."""
  folder, slash, _ = name.partition('/')
  return folder if slash else ''


def shared_folders(names: list[str], stop: Callable = lambda folder: False) -> str:
  """The folders that contain all names, 'a/b/', up to the first for which `stop` is true."""
  first, last = (name.split('/')[:-1] for name in (min(names), max(names)))
  pairs = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
  folders = [folder for folder, _ in pairs]
  stops = [i for i, folder in enumerate(folders) if stop(folder)]
  return ''.join(f'{folder}/' for folder in folders[: stops[0] if stops else None])
