"""Folders of pictures."""

import os
from collections import Counter
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from vaejax.data.cached import packed
from vaejax.data.fit import check_settings, colour, fitted_shape, surround
from vaejax.data.readers import (
  file_labels,
  file_table,
  groups,
  headers,
  listing,
  picture_rows,
  pictures,
)
from vaejax.data.readers.file_labels import FileLabels
from vaejax.data.settings import Settings
from vaejax.data.table import Table
from vaejax.errors import UserError
from vaejax.plural import counted

LEVELS = {pictures.GREY16: 65536, pictures.COLOUR16: 65536, pictures.REAL: 0}
DTYPES = {pictures.GREY16: np.uint16, pictures.COLOUR16: np.uint16, pictures.REAL: np.float32}


class Folder(NamedTuple):
  """A folder of pictures: its files, what they show, and which are in each split.

  Attributes:
    rows: {split: indices of its files}.
    notes: lines for the user.
  """

  listing: listing.Listing
  headers: headers.Headers
  rows: dict[str, np.ndarray]
  labels: FileLabels
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
  index, files = folder.rows[split], folder.listing
  names = [files.names[i] for i in index]
  known = folder.headers.kind > 0
  rows = file_table.Rows(
    origin=f'{os.path.basename(os.path.abspath(files.root))} {split}',
    root=files.root,
    field='image',
    spec=jax.ShapeDtypeStruct(decoder.shape, np.dtype(decoder.dtype)),
    decode=partial(picture_rows.decode, files.root, names, decoder),
    decoder=decoder.identity,
    index=index,
    names=partial(list, names),
    state=(packed(names), files.sizes[index], files.times[index]),
    identity=partial(identity, files, index),
    area=np.mean((folder.headers.height * folder.headers.width)[known]),
  )
  result = file_table.make(rows, folder.labels, folder.notes)
  if not kind:
    return result._replace(levels=levels_of_8_bits(folder, settings))
  training = [files.names[i] for i in folder.rows['train']]
  decode = partial(picture_rows.decode, files.root, training, decoder)
  fitted = picture_rows.fit_units(decode, len(training), decoder, settings)
  return result._replace(levels=LEVELS[kind], units=fitted)


def identity(files: listing.Listing, index: np.ndarray) -> tuple[list[str], np.ndarray, list[str]]:
  """The names and sizes of the files at `index`, and the paths of those with the smallest
  fractions."""
  sample = index[np.argsort(files.fractions[index], kind='stable')[: file_table.SAMPLE]]
  paths = [files.path(int(i)) for i in np.sort(sample)]
  return [files.names[i] for i in index], files.sizes[index], paths


def levels_of_8_bits(folder: Folder, settings: Settings) -> int:
  """The number of values of a pixel: 2 if all pictures are black and white and none is resized."""
  kinds = {*np.concatenate([folder.headers.kind[index] for index in folder.rows.values()]).tolist()}
  return 2 if kinds == {pictures.BINARY} and not settings.size else 256


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
  more = ', ...' if len(files.other) > 4 else ''
  count = sum(files.other.values())
  what = counted(count, 'file that is no picture', 'files that are no pictures')
  return f'{what}: {", ".join(shown)}{more}'


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
    are = counted(stored.outside, 'picture is', 'pictures are')
    notes.append(f'{are} in no folder of a split, and not read')
  labels, lines = file_labels.find(files, stored, settings, 'picture')
  notes += lines
  good = about.kind != headers.DAMAGED
  if not good.all():
    are = counted(int(np.sum(~good)), 'damaged file is', 'damaged files are')
    notes.append(f'{are} skipped, such as {shown_first(files, ~good)}')
  kept = {split: index[good[index]] for split, index in stored.rows.items()}
  if not all(map(len, kept.values())):
    empty = next(split for split, index in kept.items() if not len(index))
    raise UserError(f'all pictures of {empty} in {name} are damaged. Give others')
  result = groups.with_test(kept, files.fractions)
  if len(kept) == 1 and len(kept['train']) == 1:
    notes.append('one picture is both train and test')
  elif len(kept) == 1:
    of_all = counted(len(files.names), 'picture')
    notes.append(f'test is {len(result["test"]):,} of {of_all}, by their names')
  if about.pages.any():
    notes.append(f'only the first page of TIFFs is read, as of {shown_first(files, about.pages)}')
  return Folder(files, about, result, labels, tuple(notes))


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


def make_decoder(folder: Folder, settings: Settings) -> tuple[picture_rows.Decoder, int]:
  """The decoder of a folder's pictures, and the kind of its real numbers, 0 for 8 bits. Raises
  UserError if pictures differ in kind or size."""
  files, about = folder.listing, folder.headers
  chosen = np.concatenate(list(folder.rows.values()))
  kinds = Counter(about.kind[chosen][about.kind[chosen] > 0].tolist())
  eight = pictures.EIGHT_BITS
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
  possible = (channels,) if depth in (0, pictures.REAL) else (channels, 4)
  if depth and settings.channels not in (None, *possible):
    keep = ', or 4 to keep alpha' if 4 in possible else ''
    raise UserError(
      f'data.channels={settings.channels} does not apply to {pictures.NAMES[depth]}, which has '
      f'{channels}. Set data.channels=0{keep}'
    )
  channels = settings.channels or channels
  of_splits = headers.Headers(*(field[chosen] for field in about))
  height, width = headers.common_size(of_splits, files.root, bool(settings.size))
  shape = fitted_shape((height, width, channels), settings.size, channels)
  dtype = np.dtype(DTYPES.get(depth, np.uint8)).name
  background = colour(settings.background)
  around = surround(settings.background, settings.fit)
  return picture_rows.Decoder(
    channels, dtype, settings.size, settings.fit, background, shape, around
  ), depth
