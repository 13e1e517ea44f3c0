"""Files of arrays: .npy, .npz and HDF5, or a folder of such files."""

import functools
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vaejax import units
from vaejax.data import axes, divide, elements, windows
from vaejax.data.readers import array_rows, factored, named, stores, targets
from vaejax.data.readers.stores import Array
from vaejax.data.readers.targets import Part
from vaejax.data.real import with_units
from vaejax.data.settings import Settings
from vaejax.data.table import Table
from vaejax.errors import UserError
from vaejax.plural import counted

DEFAULT = Settings()


class Opened(NamedTuple):
  """Files that were opened: {split: its Rows}, and what a Table has for all splits."""

  splits: Mapping[str, array_rows.Rows]
  classes: int | None
  class_names: tuple[str, ...]
  factors: Mapping[str, int]
  notes: tuple[str, ...]


def splits(name: str, settings: Settings = DEFAULT, data_dir: str | None = None) -> tuple[str, ...]:
  """The splits of files of arrays, always with 'train' and 'test'. Raises UserError."""
  return tuple(open_files(name, settings).splits)


def table(
  name: str, split: str, settings: Settings = DEFAULT, data_dir: str | None = None
) -> Table:
  """One split of files of arrays.

  Arrays are images [N, H, W] or [N, H, W, C] or, with `frames`, videos [N, T, H, W] or
  [N, T, H, W, C], and optionally labels [N] and factors [N, F]. Their names say which they are, see
  readers.named. 8-bit images are uint8; others are real numbers, see data.elements.

  Raises UserError if there is no such split, or if the files are damaged or not images.
  """
  opened = open_files(name, settings)
  if split not in opened.splits:
    raise UserError(f'{name} has no split {split!r}. Choose one of {", ".join(opened.splits)}')
  of_split = opened.splits[split]
  result = Table(
    of_split.size,
    of_split.row,
    opened.classes,
    partial(array_rows.load, of_split),
    partial(array_rows.fetch, of_split),
    origin=of_split.what,
    levels=of_split.elements.levels,
    class_names=opened.class_names,
    factors=opened.factors,
    content=partial(array_rows.content, of_split),
    notes=opened.notes if split == 'train' else (),
    labels=None if of_split.label is None else partial(np.repeat, of_split.label, of_split.windows),
    groups=None if of_split.windows == 1 else partial(array_rows.videos, of_split),
  )
  if of_split.elements.dtype == 'uint8':
    resized = of_split.shape != of_split.stored_shape
    return result._replace(levels=256) if resized else result  # black and white then has greys
  train = array_rows.sample(opened.splits['train'], units.MAX_ELEMENTS)
  return with_units(result, train, settings, split == 'train')


def open_files(name: str, settings: Settings) -> Opened:
  """The opened files of a path. Raises UserError."""
  path = Path(os.path.expanduser(name))
  if not path.exists():
    raise UserError(f'there is no file {name}. Check the path')
  return _open_files(path, settings, tuple(stores.arrays(path).items()))


@functools.lru_cache(maxsize=4)  # the splits are read one by one
def _open_files(path: Path, settings: Settings, items: tuple[tuple[str, Array], ...]) -> Opened:
  stored = dict(items)
  known = factored.recognise(stored, stores.everything)
  if known and settings.field not in ('', known.image):
    known = None
  if known:
    chosen = {None: named.Fields(known.image, None, known.factors, None)}
    notes = (f'{path.name} is {known.name}: its factors are {", ".join(known.counts)}',)
  else:
    chosen, notes = named.choose(stored, settings, path.name)
  where = {f.data: find_axes(stored[f.data], settings) for f in chosen.values()}
  sizes = {name: array_rows.count(stored[name], axes_) for name, axes_ in where.items()}
  parts, more = divide_splits(chosen, stored, sizes, path.name)
  label, class_names, columns, counts, lines = targets.read(
    known, parts, stored, settings, path.name
  )
  where = {s: where[p.name] for s, p in parts.items()}
  numbers = how_stored(known, parts, where, path.name)
  by_split = count_windows(parts, where, settings, path.name)
  result = {}
  for split, part in parts.items():
    pick = lambda x, part=part: x if x is None or part.index is None else x[part.index]
    result[split] = array_rows.Rows(
      part.data,
      where[split]._replace(note=''),
      numbers._replace(note=''),
      settings,
      part.index,
      by_split[split],
      pick(label.get(split)),
      pick(columns.get(split)),
      f'{path.name} {split}',
    )
    array_rows.check(result[split])
  check_shapes(result, path.name)
  moved = dict.fromkeys(axes_.note for axes_ in where.values() if axes_.note)
  number_notes = () if known and known.binary else (numbers.note,)
  notes = tuple(filter(None, (*notes, *lines, *more, *moved, *number_notes)))
  return Opened(result, len(class_names) or None, class_names, counts, notes)


def divide_splits(
  chosen: Mapping[str | None, named.Fields],
  stored: Mapping[str, Array],
  sizes: Mapping[str, int],
  origin: str,
) -> tuple[dict[str, Part], tuple[str, ...]]:
  """{split: Part}, always with train, which is first, and test; and notes.

  `sizes` is {array: number of its rows}. Raises UserError if there is no train, or if an array of
  splits has other names.
  """
  chosen = dict(chosen)
  if 'train' not in chosen and None in chosen:
    chosen['train'] = chosen.pop(None)
  if len(chosen) == 1:  # one array, whatever its name: mnist_test_seq.npy is divided too
    chosen = {'train': next(iter(chosen.values()))}
  if 'train' not in chosen:
    raise UserError(
      f'{origin} has the split {", ".join(map(str, chosen))}, but no train. Name an array of it '
      'train, or x_train'
    )
  get = lambda name: stored[name] if name else None
  part = {
    s: Part(f.data, stored[f.data], get(f.label), get(f.factors), None)
    for s, f in sorted(chosen.items(), key=lambda item: item[0] != 'train')
    if s
  }
  train = part['train']
  if chosen['train'].split and len(part) == 1:
    values = stores.everything(stored[chosen['train'].split])
    by_split = named.rows_by_split(values, origin)
    part = {s: train._replace(index=i) for s, i in by_split.items()}
    if 'train' not in part:
      raise UserError(f'the array split of {origin} has no train. Give some rows of it')
  if 'test' in part:
    return part, ()
  if 'validation' in part:
    part['test'] = part.pop('validation')
    return part, (f'{origin}: validation is the test split, because there is no other',)
  index = part['train'].index
  size = sizes[train.name] if index is None else len(index)
  # Files with factors have all their combinations in order, and evals test the first rows.
  kept, test, note = divide.divide(size, shuffled=train.factors is not None)
  part['train'] = train._replace(index=kept if index is None else index[kept])
  part['test'] = train._replace(index=test if index is None else index[test])
  return part, (f'{origin}: {note}',)


def find_axes(array: Array, settings: Settings) -> axes.Axes:
  """The Axes of an array of images or videos. Raises UserError for another shape."""
  name = f'{array.key or "the array"} of {Path(array.path).name}'
  return axes.find(array.shape, 5 if settings.frames else 4, name)


def how_stored(known, parts: Mapping[str, Part], where, origin: str) -> elements.Elements:
  """How the elements of all splits are stored. Raises UserError if they are not numbers, or not
  finite, or if splits differ in dtype."""
  if known and known.binary:
    return elements.Elements('uint8', 255, 2)
  measured = {}
  for part in parts.values():
    if part.data not in measured:
      name = f'{part.data.key or "the array"} of {Path(part.data.path).name}'
      measured[part.data] = array_rows.measure(part.data, name)
  return elements.choose(elements.union(measured.values(), origin), origin)


def count_windows(
  parts: Mapping[str, Part], where, settings: Settings, origin: str
) -> dict[str, int]:
  """{split: the number of windows of each video}. Raises UserError if videos are too short."""
  if not settings.frames:
    return dict.fromkeys(parts, 1)
  windows.check_stride(settings.stride)
  lengths = {s: axes.row_shape(p.data.shape, where[s])[0] for s, p in parts.items()}
  if min(lengths.values()) < settings.frames:
    shortest = min(lengths.values())
    raise UserError(
      f'data.frames={settings.frames} is too long: the videos of {origin} have '
      f'{counted(shortest, "frame")}. Give at most {shortest}'
    )
  spare = {s: length - settings.frames for s, length in lengths.items()}
  return {s: n // settings.stride + 1 if settings.stride else 1 for s, n in spare.items()}


def check_shapes(splits: Mapping[str, array_rows.Rows], origin: str) -> None:
  """Raises UserError if rows of the splits differ in shape."""
  shapes = {s: r.shape for s, r in splits.items()}
  train = shapes['train']
  if wrong := [s for s, shape in shapes.items() if shape != train]:
    name = 'x'.join
    raise UserError(
      f'{origin}: {wrong[0]} has {name(map(str, shapes[wrong[0]]))}, but train has '
      f'{name(map(str, train))}. Give all splits one shape, or set data.size'
    )
