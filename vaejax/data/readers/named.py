"""Which arrays in files are images, labels and factors, and of which split, by their names."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from vaejax.data.settings import NO_LABEL, Settings
from vaejax.errors import UserError
from vaejax.plural import counted

SPLIT_WORDS = {
  'train': 'train',
  'training': 'train',
  'test': 'test',
  'testing': 'test',
  'val': 'validation',
  'valid': 'validation',
  'validation': 'validation',
}
IMAGES = ('image', 'images', 'img', 'imgs', 'x', 'data', 'pixels', 'arr_0', '')
VIDEOS = ('video', 'videos', 'clip', 'clips', 'frames', 'sequences', *IMAGES)
LABELS = ('label', 'labels', 'y', 'class', 'classes', 'target', 'targets', 'ans')
# Names of nothing but labels, so that another number of rows is an error.
PER_ROW = ('label', 'labels', 'y', 'target', 'targets')
FACTORS = ('factors', 'latents_classes')
SPLIT = 'split', 'splits'


class Name(NamedTuple):
  """The name of an array: its split, None without one, and its field, such as 'images'."""

  split: str | None
  field: str


def parse(name: str) -> Name:
  """The split and field of the name of an array: 'x_train', 'train/images', 'testLabels'."""
  split, field = None, ''
  for part in name.split('/'):
    words = re.findall(r'[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+', part)
    rest = [word for word in words if word.lower() not in SPLIT_WORDS]
    split = next((SPLIT_WORDS[w.lower()] for w in words if w.lower() in SPLIT_WORDS), split)
    field = '_'.join(word.lower() for word in rest) or field
  return Name(split, field)


class Fields(NamedTuple):
  """The names of the arrays of one split: the images or videos, and the others or None."""

  data: str
  label: str | None
  factors: str | None
  split: str | None


def choose(
  arrays: Mapping[str, object], settings: Settings, origin: str
) -> tuple[dict[str | None, Fields], tuple[str, ...]]:
  """{split: its Fields} and notes for the user; the split is None if names do not have one.

  Args:
    arrays: {name: anything with `shape` and `dtype`}.
    settings: `field` and `label` choose arrays by their names, with or without the split.
    origin: the file, for errors.

  Raises UserError if there are no images or videos, or if there are several.
  """
  names = {name: parse(name) for name in arrays}
  frames = settings.frames is not None
  data = data_field(arrays, names, settings, frames, origin)
  rows = {names[n].split: n for n in arrays if names[n].field == data}
  label, notes = label_field(arrays, names, rows, settings, data, origin)

  def find(split, fields):
    of_split = (n for n in arrays if names[n].field in fields and names[n].split == split)
    return next((n for n in of_split if fits(arrays[n], arrays[rows[split]])), None)

  chosen = {
    split: Fields(
      name, find(split, (label,)) if label else None, find(split, FACTORS), find(split, SPLIT)
    )
    for split, name in rows.items()
  }
  if label and (without := [s for s, f in chosen.items() if not f.label]):
    notes = (*notes, f'{origin}: {without[0] or "train"} has no labels')
  return chosen, notes


def called(fields: Iterable[str], known: Sequence[str]) -> list[str]:
  """The fields that have a known name, or else those whose last word is one."""
  exact = sorted((f for f in fields if f in known), key=known.index)
  return exact or [f for f in fields if f and f.split('_')[-1] in known]


def fits(x, rows) -> bool:
  """Whether an array has an element for each row of another."""
  return len(x.shape) > 0 and x.shape[0] == rows.shape[0]


def data_field(
  arrays: Mapping, names: Mapping[str, Name], settings: Settings, frames: bool, origin: str
) -> str:
  """The field that is the images or videos. Raises UserError, see `choose`."""
  shown = describe(arrays)
  if settings.field:
    fields = matching(names, settings.field)
    if not fields:
      raise UserError(f'data.field={settings.field!r} is not in {origin}, which has {shown}')
    return fields[0]
  known, ranks = (VIDEOS, (4, 5)) if frames else (IMAGES, (3, 4))
  numeric = [n for n in arrays if np.dtype(arrays[n].dtype).kind in 'buif']
  fields = dict.fromkeys(names[n].field for n in numeric if len(arrays[n].shape) in ranks)
  candidates = called(fields, known) or list(fields)
  if not candidates:  # of another shape, which the error about it shows
    candidates = [names[n].field for n in numeric if names[n].field in known][:1]
  if len(candidates) == 1:
    return candidates[0]
  kind = 'videos' if frames else 'images'
  if candidates:
    raise UserError(
      f'{origin} has several arrays that can be {kind}: {", ".join(candidates)}. Choose one by '
      f'data.field={candidates[0]}'
    )
  if any(np.dtype(x.dtype).kind == 'O' for x in arrays.values()):
    raise UserError(
      f'{origin} has Python objects, which are not read because that would run code. Save the '
      f'{kind} as an array of numbers'
    )
  raise UserError(f'{origin} has no {kind}: it has {shown or "no arrays"}')


def label_field(
  arrays: Mapping,
  names: Mapping[str, Name],
  rows: Mapping[str | None, str],
  settings: Settings,
  data: str,
  origin: str,
) -> tuple[str | None, tuple[str, ...]]:
  """The field that is the label, None without one, and notes. Raises UserError if `data.label` is
  not a label, or if labels and rows differ in number."""
  if settings.label == NO_LABEL:
    return None, ()
  for name, x in arrays.items():
    split, field = names[name]
    if (
      field in PER_ROW and split in rows and x.shape[:1] != (size := arrays[rows[split]].shape[:1])
    ):
      raise UserError(
        f'{name} of {origin} has {counted(x.shape[0] if x.shape else 1, "row")}, but there are '
        f'{size[0]:,} {data or "rows"}. Give one label for each, or set data.label=none'
      )
  can = [
    n for n in arrays
    if names[n].split in rows and names[n].field != data and len(arrays[n].shape) in (1, 2)
    and fits(arrays[n], arrays[rows[names[n].split]])
  ]  # fmt: skip
  if settings.label:
    fields = [f for f in matching(names, settings.label) if f in {names[n].field for n in can}]
    if not fields:
      raise UserError(
        f'data.label={settings.label!r} is not a label of {origin}, which has {describe(arrays)}. '
        'Choose an array with one element for each row'
      )
    return fields[0], ()
  fields = list(dict.fromkeys(names[n].field for n in can))
  if len(known := called(fields, LABELS)) == 1 or known[:1] == ['label']:
    return known[0], ()
  flat = dict.fromkeys(names[n].field for n in can if is_flat(arrays[n]))
  others = known or [f for f in flat if f not in (*FACTORS, *SPLIT)]
  if not others:
    return None, ()
  return None, (
    f'{origin}: no labels are read; {", ".join(others)} could be labels, see data.label',
  )


def is_flat(x) -> bool:
  """Whether an array has the form of labels: [N] whole numbers or text."""
  return len(x.shape) == 1 and np.dtype(x.dtype).kind in 'biuSUT'


def matching(names: Mapping[str, Name], given: str) -> list[str]:
  """The fields of the arrays that a setting names, by the name or the field."""
  exact = [name.field for full, name in names.items() if given in (full, full.split('/')[-1])]
  return exact or [name.field for name in names.values() if name.field == parse(given).field]


def describe(arrays: Mapping) -> str:
  """The names and shapes of arrays, for an error."""
  shown = [f'{name} {np.dtype(x.dtype).name} {list(x.shape)}' for name, x in arrays.items()]
  return ', '.join(shown[:8]) + (f' and {len(shown) - 8} more' if len(shown) > 8 else '')


def rows_by_split(values: Iterable, origin: str) -> dict[str, np.ndarray]:
  """{split: indices of its rows} of an array of their names. Raises UserError."""
  texts = [v.decode('utf-8', 'replace') if isinstance(v, bytes) else str(v) for v in values]
  texts = np.asarray([text.strip().lower() for text in texts])
  splits: dict[str, Sequence] = {}
  for text in np.unique(texts):
    if text not in SPLIT_WORDS:
      raise UserError(
        f'the array split of {origin} has {str(text)!r}. Give train, validation or test'
      )
    splits[SPLIT_WORDS[text]] = np.flatnonzero(texts == text)
  return splits
