"""Arrays in memory as a dataset, for runs that are started from Python."""

import mmap
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from vaejax.data import array_windows, axes, classes, divide, elements, factors
from vaejax.data.fit import check_settings, fit_image, fitted_shape
from vaejax.data.real import with_units
from vaejax.data.settings import Settings
from vaejax.data.table import Table, digests, of_arrays
from vaejax.errors import UserError

NAME = 'arrays'  # the value of data.name in a config
SPLITS = 'train', 'test', 'validation'
RANKS = {'image': 4, 'video': 5}
NAMES = {
  'image': 'image',
  'images': 'image',
  'video': 'video',
  'videos': 'video',
  'label': 'label',
  'labels': 'label',
  'factors': 'factors',
}
BLOCK_BYTES = 2**25  # bytes of rows that are measured at once
MAPPED_BYTES = 2**28  # bytes; of a larger memory map, only SAMPLES rows are hashed
SAMPLES = 64


def tables(data: Any) -> dict[str, Table]:
  """The splits of arrays in memory.

  Args:
    data: images [N, H, W, C] or [N, H, W]; or a dict of 'images', or 'videos' [N, T, H, W, C] or
      [N, T, H, W], and optionally 'labels' [N] and 'factors', int [N, F] or {name: [N]}; or
      {'train': either, 'test': either} and optionally 'validation'. Without splits, 10 % of the
      rows are test. See data.elements for what numbers become, and data.classes for labels.

  Raises UserError.
  """
  splits, notes, index = dict(data) if isinstance(data, Mapping) else {}, (), {}
  if not splits or NAMES.keys() & splits.keys():
    fields = read(data, 'the data')
    # As in data.readers.files.
    shuffled = 'factors' in fields
    train, test, note = divide.divide(len(next(iter(fields.values()))), shuffled)
    index, notes = {'train': train, 'test': test}, (note,)
    read_splits = {'': fields}
  else:
    unknown = [split for split in splits if split not in SPLITS]
    missing = [split for split in SPLITS[:2] if split not in splits]
    if unknown or missing:
      problem = f'has no {missing[0]!r}' if missing else f'has an unknown split {unknown[0]!r}'
      raise UserError(
        f"data {problem}. Give {{'train': arrays, 'test': arrays}}, and optionally 'validation'. "
        "Or give images, or {'images': images, 'labels': labels}: 10 % become the test split"
      )
    read_splits = {split: read(arrays, split) for split, arrays in splits.items()}
  fields, about = uniform(read_splits)
  if index:
    fields = {s: {k: v[i] for k, v in fields[''].items()} for s, i in index.items()}
  result = {split: table_of(arrays, split, about) for split, arrays in fields.items()}
  result['train'] = result['train']._replace(notes=(*notes, *result['train'].notes))
  return result


def describe(fields: Mapping[str, tuple]) -> str:
  """The names, dtypes and shapes of fields, for an error."""
  return ', '.join(f'{k} {dtype} {list(shape)}' for k, (shape, dtype) in sorted(fields.items()))


def read(arrays: Any, split: str) -> dict[str, Any]:
  """The fields of a split as arrays, {'image', 'video', 'label', 'factors'}. Raises UserError."""
  fields = dict(arrays) if isinstance(arrays, Mapping) else {'image': arrays}
  names = [NAMES.get(name) for name in fields]
  if None in names or len(set(names)) < len(names) or len(RANKS.keys() & set(names)) != 1:
    raise UserError(
      f"data: {split} has the fields {', '.join(map(repr, fields))}. Give either 'images' or "
      "'videos', and optionally 'labels' and 'factors'"
    )
  result = {}
  for name, x in zip(names, fields.values(), strict=True):
    if name == 'factors' and isinstance(x, Mapping):
      result['factor_names'] = list(x)
      x = np.stack([np.asarray(column) for column in x.values()], axis=1)
    try:
      result[name] = np.asarray(x)
    except (ValueError, TypeError):
      raise UserError(
        f'data: {name} of {split} is not an array, because its rows differ in shape'
      ) from None
  sizes = {name: len(x) if x.ndim else 0 for name, x in result.items() if name != 'factor_names'}
  if len(set(sizes.values())) > 1 or not all(sizes.values()):
    counts = ', '.join(f'{size} of {name}' for name, size in sizes.items())
    raise UserError(f'data: {split} has {counts} rows. Give the same number of each, at least one')
  return dict(sorted(result.items(), key=lambda item: item[0] not in RANKS))


def same_order(names: Sequence[str] | None, others: Sequence[str] | None, split: str) -> list[int]:
  """The columns of the factors `others` of a split in the order of `names`. Raises UserError if
  these are not the same factors."""
  if not names or not others or sorted(names) != sorted(others):
    raise UserError(
      f'data: {split} has the factors {", ".join(others or ["without names"])}, but the first '
      f'split has {", ".join(names or ["without names"])}. Give all splits the same factors'
    )
  return [list(others).index(name) for name in names]


def uniform(splits: Mapping[str, dict]) -> tuple[dict[str, dict[str, np.ndarray]], Table]:
  """{split: its fields in the dtypes in which they are stored}, and a Table without rows that has
  the levels, classes, factors and notes of all splits.

  Raises UserError if the splits differ in fields, shapes or dtypes, or if their images, labels or
  factors cannot be read.
  """
  name = next(name for name in RANKS if name in next(iter(splits.values())))
  of = lambda field, split: f'data: {field} of {split}' if split else f'data: {field}'
  arranged, measured, notes = {}, [], []
  for split, fields in splits.items():
    if name not in fields:
      differ(splits, split)
    x = fields[name]
    where = axes.find(x.shape, RANKS[name], of(name, split))
    x = axes.arrange(x.swapaxes(0, 1) if where.frames_first else x, where)
    measured.append(elements.measure(blocks(x), of(name, split)))
    arranged[split] = x
    notes.append(where.note)
  stored = elements.choose(elements.union(measured, of(name, '')), of(name, ''))
  result = {
    s: {**fields, name: elements.store(arranged[s], stored)} for s, fields in splits.items()
  }
  first = next(iter(result))
  for split in result:
    form = lambda s: {k: v.shape[1:] if k in RANKS else k for k, v in result[s].items()}
    if form(split) != form(first):
      differ(result, split)
  class_names, counts = (), {}
  if 'label' in result[first]:
    values = {split: fields['label'] for split, fields in result.items()}
    class_names = classes.class_names(values.values(), of('label', ''))
    for split, fields in result.items():
      fields['label'] = classes.encode(values[split], class_names, of('label', split))[0]
      if not class_names:  # no row has a label
        del fields['label']
  if 'factors' in result[first]:
    names = {split: fields.pop('factor_names', None) for split, fields in result.items()}
    columns = {split: fields['factors'] for split, fields in result.items()}
    for split, of_split in names.items():
      if of_split != names[first]:
        columns[split] = columns[split][:, same_order(names[first], of_split, split)]
    encoded, counts = factors.encode(columns, names[first], 'data')
    for split, fields in result.items():
      fields['factors'] = encoded[split]
  notes = tuple(dict.fromkeys(filter(None, (*notes, stored.note))))
  count = len(class_names) if 'label' in result[first] else None
  about = Table(
    0, {}, count, None, None, levels=stored.levels, class_names=class_names, factors=counts,
    notes=notes,
  )  # fmt: skip
  return result, about


def differ(splits: Mapping[str, dict], split: str) -> None:
  """Raises the UserError about a split that differs from train."""
  train = splits['train']
  fields = {
    s: {k: (v.shape[1:], v.dtype) for k, v in x.items() if k != 'factor_names'}
    for s, x in (('train', train), (split, splits[split]))
  }
  raise UserError(
    f'data: {split} has {describe(fields[split])}, but train has {describe(fields["train"])}. Give '
    'all splits the same fields and shapes'
  )


def blocks(x: np.ndarray):
  """Blocks of consecutive rows."""
  step = max(1, BLOCK_BYTES // max(1, x[:1].nbytes))
  return (x[first : first + step] for first in range(0, len(x), step))


def table_of(arrays: Mapping[str, np.ndarray], split: str, about: Table) -> Table:
  """The table of arrays from `uniform`."""
  rows = of_arrays(arrays, about.classes, f'{NAME} {split}')
  return rows._replace(
    levels=about.levels,
    class_names=about.class_names,
    factors=about.factors,
    content=partial(dict, content(arrays)),
    notes=about.notes if split == 'train' else (),
  )


def content(arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
  """{field: digest} of all rows, or of SAMPLES evenly spaced rows of a large memory map."""
  result = {}
  for name, x in arrays.items():
    if x.nbytes > MAPPED_BYTES and is_mapped(x):
      index = np.unique(np.linspace(0, len(x) - 1, SAMPLES).astype(np.int64))
      result[name] = f'{digests({name: x[index]})[name]} of {len(x)}'
    else:
      result |= digests({name: x})
  return result


def is_mapped(x: Any) -> bool:
  """Whether an array is a memory map, or a view of one."""
  while x is not None and not isinstance(x, mmap.mmap):
    x = getattr(x, 'base', None)
  return x is not None


def table(split: str, given: Any, settings: Settings) -> Table:
  """A split of `given`, the result of `tables`, with the size, channels and units of `settings`,
  and with videos cut into windows.

  Raises UserError if `given` is None, because a run does not store its arrays, if it has no such
  split, or if the settings do not fit the arrays.
  """
  if not isinstance(given, Mapping):
    raise UserError(
      'the data of this run are arrays that were given to vaejax.train and are not saved. Give '
      'them as data=... to vaejax.train, vaejax.evaluate or vaejax.load'
    )
  if split not in given:
    raise UserError(f'the arrays have no split {split!r}. Choose one of {", ".join(given)}')
  size, channels, fit = settings.size, settings.channels, settings.fit
  rows, training = (array_windows.cut(given[s], s, settings) for s in (split, 'train'))
  name = 'video' if 'video' in rows.row else 'image'
  shape, dtype = rows.row[name].shape[-3:], rows.row[name].dtype
  check_settings(size, channels, fit)
  train = training.load()[name]
  if fitted_shape(shape, size, channels) != shape:
    fitted = lambda x: np.reshape(
      [fit_image(one, size, channels, fit, settings.background) for one in x.reshape(-1, *shape)],
      (*x.shape[:-3], *fitted_shape(shape, size, channels)),
    )
    arrays = {**rows.load(), name: fitted(rows.load()[name])}
    levels = 256 if dtype == np.uint8 else rows.levels  # resized black and white has greys
    resized = table_of(arrays, split, rows._replace(levels=levels))
    rows = resized._replace(notes=rows.notes, groups=rows.groups)
    train = train if dtype == np.uint8 else fitted(train)
  return rows if dtype == np.uint8 else with_units(rows, train, settings, split == 'train')
