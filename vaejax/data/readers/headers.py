"""Sizes and kinds of the pictures of a folder, read once and cached."""

import concurrent.futures
import os
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import PIL

from vaejax.data.cache import cache_folder
from vaejax.data.cached import digest, packed, read_arrays, write_arrays
from vaejax.data.name_hash import sample
from vaejax.data.readers import pictures
from vaejax.data.readers.listing import Listing
from vaejax.errors import UserError

ALL = 50_000  # most headers that are read, unless all files are checked
THREADS = 16  # most of the time of reading small files is waiting, above all on a network disk
LAYOUT = 3  # of the cached file; increase it when the meaning of a field changes
MAX_PIXELS = 1024 * 1024  # of a picture that is not resized
BLOCK = 256  # files that a thread reads at once
UNREAD, DAMAGED, REFUSED = 0, -1, -2  # in addition to the kinds of pictures


class Headers(NamedTuple):
  """What is known of the files of a listing from their headers.

  Attributes:
    height, width: of the picture as it is seen, int32 [N].
    kind: of pictures.py, or UNREAD, DAMAGED, REFUSED (a format that is not supported), int8 [N].
    pages: whether it is a TIFF of several pages, bool [N].
    checked: whether the file has been decoded to its end, bool [N].
  """

  height: np.ndarray
  width: np.ndarray
  kind: np.ndarray
  pages: np.ndarray
  checked: np.ndarray


def read(listing: Listing, check: bool = False) -> Headers:
  """The headers of a listing's files; of a sample of ALL of them if there are more.

  With `check`, all files are decoded, so that DAMAGED is known of each. Only new and changed files
  are read again.
  """
  count = len(listing.names)
  # Another version of Pillow may read other files.
  name = digest(os.path.realpath(listing.root), f'{LAYOUT} {PIL.__version__}')
  path = cache_folder('headers') / f'{name}.npz'
  identity = digest(packed(listing.names), listing.sizes, listing.times)
  stored = read_arrays(path)
  if stored and stored['identity'].tobytes().decode() == identity:
    headers = Headers(*(stored[name] for name in Headers._fields))
  else:
    headers = Headers(*(np.zeros(count, t) for t in (np.int32, np.int32, np.int8, bool, bool)))
    keys = file_keys(listing)
    if stored and len(stored['keys']):
      _, new, old = np.intersect1d(keys, stored['keys'], return_indices=True)
      for field, values in zip(headers, Headers._fields, strict=True):
        field[new] = stored[values][old]
  chosen = sample(listing.fractions, count if check else ALL)
  missing = chosen[~headers.checked[chosen] if check else headers.kind[chosen] == UNREAD]
  if len(missing):
    read_one = checked_header if check else plain_header
    values = in_threads(lambda i: read_one(listing.path(i)), missing)
    for field, column in zip(headers, np.asarray(values, np.int64).T, strict=True):
      field[missing] = column.astype(field.dtype)
    write_arrays(
      path,
      identity=np.frombuffer(identity.encode(), np.uint8),
      keys=file_keys(listing),
      **headers._asdict(),
    )
  return headers


def file_keys(listing: Listing) -> np.ndarray:
  """A number for each file that changes with its name, length and time, uint64 [N]."""
  keys = (listing.fractions * 2.0**53).astype(np.uint64)
  for values in (listing.sizes, listing.times):
    keys = keys * np.uint64(0x9E3779B97F4A7C15) + values.astype(np.uint64)
  return keys


def plain_header(path: str) -> tuple:
  """A row of Headers for a file, from its header."""
  try:
    height, width, kind, pages = pictures.header(path)
  except pictures.Damaged:
    return 0, 0, DAMAGED, False, False
  except UserError:
    return 0, 0, REFUSED, False, False
  return height, width, kind, pages, False


def checked_header(path: str) -> tuple:
  """A row of Headers for a file that is decoded to its end."""
  row = plain_header(path)
  if row[2] > 0:
    try:
      pictures.decode(path, 3, (0, 0, 0))
    except pictures.Damaged:
      row = 0, 0, DAMAGED, False, False
    except UserError:
      row = 0, 0, REFUSED, False, False
  return (*row[:4], True)


def in_threads(read_one: Callable, indices: np.ndarray) -> list:
  """read_one(i) of all indices, in order."""
  blocks = [indices[i : i + BLOCK] for i in range(0, len(indices), BLOCK)]
  with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
    results = pool.map(lambda block: [read_one(i) for i in block], blocks)
    return [value for block in results for value in block]


def first(headers: Headers, kind: int) -> int | None:
  """The index of the first file of a kind; None if there is none."""
  indices = np.flatnonzero(headers.kind == kind)
  return int(indices[0]) if len(indices) else None


def sizes(headers: Headers) -> Counter:
  """{(height, width): number of pictures}."""
  known = headers.kind > 0
  return Counter(zip(headers.height[known].tolist(), headers.width[known].tolist(), strict=True))


def describe_sizes(counts: Counter) -> str:
  """Sizes for a message, width first as pictures are described."""
  named = lambda size: f'{size[1]}x{size[0]}'
  most = ', '.join(f'{n:,} of {named(size)}' for size, n in counts.most_common(3))
  area = lambda size: (size[0] * size[1], size)
  smallest, largest = min(counts, key=area), max(counts, key=area)
  more = f'; from {named(smallest)} to {named(largest)}' if len(counts) > 3 else ''
  return f'{len(counts):,} sizes, as width x height: {most}{more}'


def common_size(headers: Headers, root: str, resized: bool) -> tuple[int, int]:
  """The height and width of all pictures, or of one if they are resized. Raises UserError if they
  are not resized, and differ or are too large for a model."""
  counts = sizes(headers)
  size = next(iter(counts))
  if not resized and len(counts) > 1:
    raise UserError(
      f'the pictures of {root} have {describe_sizes(counts)}. Set data.size to one '
      'side for all, for example --config.data.size=64; data.fit=resize, pad or crop says how'
    )
  if not resized and size[0] * size[1] > MAX_PIXELS:
    raise UserError(
      f'the pictures of {root} are {size[1]}x{size[0]}, which is too large for a model. Set '
      'data.size to a smaller side, for example --config.data.size=64'
    )
  return size
