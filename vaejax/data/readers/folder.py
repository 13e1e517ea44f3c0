"""Folders of pictures."""

import functools
import os
from collections import Counter
from typing import NamedTuple

import jax
import numpy as np

from vaejax.data import fingerprint
from vaejax.data.cached import digest, packed
from vaejax.data.fit import check_settings, colour, fitted_shape
from vaejax.data.readers import groups, headers, labels_csv, listing, picture_rows, pictures
from vaejax.data.settings import Settings
from vaejax.data.table import Table
from vaejax.errors import UserError

THREADED_PIXELS = 96 * 96  # mean area of pictures from which decoding in threads is faster
LEVELS = {pictures.GREY16: 65536, pictures.COLOUR16: 65536, pictures.REAL: 0}
DTYPES = {pictures.GREY16: np.uint16, pictures.COLOUR16: np.uint16, pictures.REAL: np.float32}


class Folder(NamedTuple):
  """A folder of pictures: its files, what they show, and which are in each split.

  Attributes:
    rows: {split: indices of its files}.
    labels: the label of each file, int32 [N], or None.
    class_names: the names of the classes.
    factors: {name: Column of labels_csv}.
    notes: lines for the user.
  """

  listing: listing.Listing
  headers: headers.Headers
  rows: dict[str, np.ndarray]
  labels: np.ndarray | None
  class_names: tuple[str, ...]
  factors: dict[str, labels_csv.Column]
  notes: tuple[str, ...]


def splits(name: str, settings: Settings, data_dir: str | None = None) -> tuple[str, ...]:
  """The splits of a folder of pictures, see `table`. Raises UserError if it has no pictures."""
  files = files_of(name)
  return tuple(groups.with_test(groups.group(files.names).rows, files.fractions))


def table(name: str, split: str, settings: Settings, data_dir: str | None = None) -> Table:
  """One split of a folder of pictures.

  Splits are the folders `train`, `validation` (or val, valid) and `test`. Without a test folder,
  the test split is the validation folder, or else about 10 % of train, chosen by the names of the
  files alone. Labels come from labels.csv, or else from the folders of the pictures in a split.

  Returns:
    A table of 'image' uint8 or uint16 [H, W, C] or float32 [H, W, 1], with 'label' int32 []
    and 'factors' int32 [F] if there are any. Its rows are in the order of the names.

  Raises:
    UserError: there are no pictures or no such split; the pictures differ in size without
      `data.size`, or in kind; a file is damaged, without `data.skip_damaged`.
  """
  check_settings(settings.size, settings.channels, settings.fit)
  check_field(settings, name)
  folder = read(name, settings)
  if split not in folder.rows:
    raise UserError(f'{name} has no split {split!r}. Choose {" or ".join(folder.rows)}')
  decoder, kind = make_decoder(folder, settings)
  index = folder.rows[split]
  files = folder.listing
  row = {'image': jax.ShapeDtypeStruct(decoder.shape, np.dtype(decoder.dtype))}
  extra = {}
  if folder.labels is not None:
    row['label'] = jax.ShapeDtypeStruct((), np.int32)
    extra['label'] = folder.labels[index]
  if folder.factors:
    row['factors'] = jax.ShapeDtypeStruct((len(folder.factors),), np.int32)
    extra['factors'] = np.stack([c.values[index] for c in folder.factors.values()], -1)
  names = [files.names[i] for i in index]
  fetch = functools.partial(picture_rows.fetch_rows, files.root, names, decoder, extra)
  origin = f'{os.path.basename(os.path.abspath(files.root))} {split}'
  state = digest(packed(names), files.sizes[index], files.times[index], *extra.values())
  key = [os.path.realpath(files.root), state, list(decoder)]
  known = folder.headers.kind > 0
  area = np.mean((folder.headers.height * folder.headers.width)[known])
  threads = 1 if area < THREADED_PIXELS else min(os.cpu_count() or 1, 16)
  load = functools.partial(picture_rows.load_rows, origin, key, row, len(index), fetch, threads)
  fitted = None
  if kind:
    training = [files.names[i] for i in folder.rows['train']]
    fitted = picture_rows.fit_units(
      functools.partial(picture_rows.fetch_rows, files.root, training, decoder, {}), settings
    )
  size = len(index) * fingerprint.row_bytes(row)
  return Table(
    size=len(index),
    row=row,
    classes=len(folder.class_names) if folder.labels is not None else None,
    load=load,
    fetch=fetch,
    origin=origin,
    levels=LEVELS.get(kind, 256),
    units=fitted,
    class_names=folder.class_names,
    factors={name: len(column.names) for name, column in folder.factors.items()},
    names=functools.partial(list, names),
    labels=functools.partial(extra.get, 'label') if 'label' in extra else None,
    content=functools.partial(picture_rows.content, files, index, load, extra, list(decoder), size),
    notes=folder.notes,
  )


def check_field(settings: Settings, name: str) -> None:
  """Raises UserError for `data.field`, because files have no fields."""
  if settings.field:
    raise UserError(
      f'data.field={settings.field!r} names an array or a feature, but {name} has files. Set '
      "data.field=''"
    )


def files_of(name: str) -> listing.Listing:
  """The files of a folder. Raises UserError if there is no picture among them."""
  files = listing.scan(os.path.expanduser(name))
  if not files.names:
    has = f'; it has {describe_other(files)}' if files.other else ''
    raise UserError(
      f'{name} has no pictures (PNG, JPEG, WebP, BMP, TIFF, GIF, PPM){has}. Give a '
      'folder of pictures'
    )
  return files


def describe_other(files: listing.Listing) -> str:
  """'12 files that are no pictures: 10 .heic, 2 .txt'."""
  shown = [f'{n:,} {listing.shown(ending)}' for ending, n in list(files.other.items())[:4]]
  count = sum(files.other.values())
  more = ', ...' if len(files.other) > 4 else ''
  noun = 'file that is no picture' if count == 1 else 'files that are no pictures'
  return f'{count:,} {noun}: {", ".join(shown)}{more}'


def read(name: str, settings: Settings) -> Folder:
  """Lists a folder, and finds its splits and labels. Raises UserError, see `table`."""
  files = files_of(name)
  stored = groups.group(files.names)
  about = headers.read(files, settings.skip_damaged)
  check_readable(files, about, settings.skip_damaged)
  notes = []
  if files.other:
    notes.append(f'{describe_other(files)}; not read')
  if stored.outside:
    notes.append(f'{stored.outside:,} pictures are in no folder of a split, and not read')
  labels, class_names, factors = find_labels(files, stored, settings, notes)
  good = about.kind != headers.DAMAGED
  if not good.all():
    notes.append(
      f'{np.sum(~good):,} damaged files are skipped, such as {shown_first(files, ~good)}'
    )
  kept = {split: index[good[index]] for split, index in stored.rows.items()}
  if not all(map(len, kept.values())):
    empty = next(split for split, index in kept.items() if not len(index))
    raise UserError(f'all pictures of {empty} in {name} are damaged. Give others')
  result = groups.with_test(kept, files.fractions)
  if len(result['train']) == 1 and len(kept) == 1:
    notes.append('one picture is both train and test')
  elif len(kept) == 1:
    notes.append(
      f'test is {len(result["test"]):,} of {len(files.names):,} pictures, by their names'
    )
  if about.pages.any():
    notes.append(f'only the first page of TIFFs is read, as of {shown_first(files, about.pages)}')
  return Folder(files, about, result, labels, class_names, factors, tuple(notes))


def shown_first(files: listing.Listing, chosen: np.ndarray) -> str:
  """The name, for a message, of the first file where `chosen` bool [N] is True."""
  return listing.shown(files.names[int(np.argmax(chosen))])


def check_readable(files: listing.Listing, about: headers.Headers, skip_damaged: bool) -> None:
  """Raises UserError for files of formats that are not supported, and for damaged ones."""
  for kind in (headers.REFUSED, headers.DAMAGED):
    indices = np.flatnonzero(about.kind == kind)
    if not len(indices) or (kind == headers.DAMAGED and skip_damaged):
      continue
    try:
      path = files.path(int(indices[0]))
      pictures.header(path)
      pictures.decode(path, 3, (0, 0, 0))
    except UserError as error:
      more = f' (at least {len(indices):,} files are so)' if len(indices) > 1 else ''
      raise type(error)(f'{error}{more}') from None


def find_labels(files, stored: groups.Groups, settings: Settings, notes: list[str]) -> tuple:
  """The labels of all files int32 [N] or None, the names of the classes, and {factor: Column}.
  Appends to `notes`. Raises UserError if labels.csv is wrong, or has no column `data.label`."""
  if settings.label == 'none':
    return None, (), {}
  columns, ignored, lines = labels_csv.read(files.root, files.names)
  notes += lines
  if ignored:
    notes.append(f'{labels_csv.NAME}: not read as factors: {", ".join(ignored)}')
  label = settings.label or 'label'
  if settings.label and label not in columns:
    has = f'the columns {", ".join(columns)}' if columns else f'no {labels_csv.NAME} with classes'
    raise UserError(
      f'data.label={label} is not a column of {labels_csv.NAME} with classes: {files.root} has '
      f'{has}. Choose one of them, or none'
    )
  factors = {name: column for name, column in columns.items() if name != label}
  if label in columns:
    return columns[label].values, columns[label].names, factors
  names, by_split = groups.classes(stored.places)
  if not names:
    return None, (), factors
  labels = np.full(len(files.names), -1, np.int32)
  for split, index in stored.rows.items():
    labels[index] = by_split[split]
  missing = sum(int(np.sum(values < 0)) for values in by_split.values())
  if missing:
    notes.append(f'{missing:,} pictures are in no class folder, and have no label')
  return labels, tuple(map(listing.shown, names)), factors


def make_decoder(folder: Folder, settings: Settings) -> tuple[picture_rows.Decoder, int]:
  """The decoder of a folder's pictures, and the kind of its real numbers, 0 for 8 bits. Raises
  UserError if pictures differ in kind or size."""
  files, about = folder.listing, folder.headers
  chosen = np.concatenate(list(folder.rows.values()))
  kinds = Counter(about.kind[chosen][about.kind[chosen] > 0].tolist())
  eight = (pictures.GREY8, pictures.COLOUR8)
  by_depth = Counter({0: sum(kinds[kind] for kind in eight)})
  by_depth.update({kind: kinds[kind] for kind in DTYPES})
  depth = by_depth.most_common(1)[0][0]
  odd = next((k for k in kinds if k not in (eight if depth == 0 else (depth,))), None)
  if odd:
    i = int(chosen[np.flatnonzero(about.kind[chosen] == odd)[0]])
    most = pictures.NAMES[depth] if depth else '8-bit'
    raise UserError(
      f'{listing.shown(files.path(i))} is {pictures.NAMES[odd]}, but most pictures here are '
      f'{most}. Convert it, or move it away'
    )
  channels = 3 if kinds[pictures.COLOUR8] or depth == pictures.COLOUR16 else 1
  if depth and settings.channels not in (None, channels):
    raise UserError(
      f'data.channels={settings.channels} does not apply to {pictures.NAMES[depth]}, which has '
      f'{channels}. Set data.channels=0'
    )
  channels = settings.channels or channels
  of_splits = headers.Headers(*(field[chosen] for field in about))
  height, width = headers.common_size(of_splits, files.root, bool(settings.size))
  shape = fitted_shape((height, width, channels), settings.size, channels)
  dtype = np.dtype(DTYPES.get(depth, np.uint8)).name
  background = colour(settings.background)
  return picture_rows.Decoder(
    channels, dtype, settings.size, settings.fit, background, shape
  ), depth
