"""The Table of a split whose rows are decoded from files: pictures, or windows of videos."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import NamedTuple

import jax
import numpy as np

from vaejax.data import decoded
from vaejax.data.cached import digest, packed
from vaejax.data.fingerprint import EXACT_BYTES, row_bytes
from vaejax.data.readers.file_labels import FileLabels
from vaejax.data.table import Table, digests

SAMPLE = 64  # files by which a large split is identified
LOG_SECONDS = 5
THREADED_PIXELS = 96 * 96  # area of a picture from which decoding in threads is faster
NOUNS = {'image': 'pictures', 'video': 'windows of videos'}


class Rows(NamedTuple):
  """Rows of a split that are decoded from files.

  Attributes:
    origin: what is read, in words.
    root: the folder.
    field: 'image' or 'video'.
    spec: shape and dtype of one.
    decode: indices [n] -> images or videos [n, ...]. It can be sent to other processes.
    decoder: how they are decoded, as JSON values.
    index: the number of each row's file, or of its clip, in the listing of the folder.
    names: of each row's file or clip.
    state: what changes with the files and decides which rows are decoded.
    identity: () -> the names and sizes of the files of the split, and the paths of some of them.
    area: pixels of a picture that is decoded.
  """

  origin: str
  root: str
  field: str
  spec: jax.ShapeDtypeStruct
  decode: Callable[[np.ndarray], np.ndarray]
  decoder: list
  index: np.ndarray
  names: Callable[[], list[str]]
  state: tuple
  identity: Callable[[], tuple[list[str], np.ndarray, list[str]]]
  area: float


def make(rows: Rows, labels: FileLabels, notes: tuple[str, ...]) -> Table:
  """The table of decoded rows, of 8 bits unless the caller changes `levels` and `units`."""
  extra = labels.fields(rows.index)
  row = {rows.field: rows.spec}
  row |= {name: jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for name, x in extra.items()}
  size = len(rows.index)
  fetch = partial(fetch_rows, rows.field, rows.decode, extra)
  key = [os.path.realpath(rows.root), digest(*rows.state, *extra.values()), rows.decoder]
  load = partial(load_rows, rows.origin, key, row, size, fetch, threads(rows.area))
  is_large = size * row_bytes(row) > EXACT_BYTES
  return Table(
    size=size,
    row=row,
    classes=None if labels.values is None else len(labels.class_names),
    load=load,
    fetch=fetch,
    origin=rows.origin,
    class_names=labels.class_names,
    factors={name: len(column.names) for name, column in labels.factors.items()},
    names=rows.names,
    labels=partial(extra.get, 'label') if 'label' in extra else None,
    content=partial(sampled_content, rows, extra) if is_large else partial(all_content, load),
    notes=notes,
  )


def fetch_rows(field: str, decode: Callable, extra: dict, indices) -> dict[str, np.ndarray]:
  """The rows at `indices` [n], {field: [n, ...]}. Raises UserError."""
  indices = np.asarray(indices)
  return {field: decode(indices), **{name: x[indices] for name, x in extra.items()}}


def load_rows(origin: str, key: list, row, size: int, fetch: Callable, count: int) -> dict:
  """All rows of a split, memory-mapped from the cache. `count` threads decode them."""
  blocks = lambda: logged(decoded.blocks(fetch, size, row_bytes(row), count), size)
  return decoded.load(origin, key, row, size, blocks)


def threads(area: float) -> int:
  """The number of threads that decode pictures of this many pixels."""
  return 1 if area < THREADED_PIXELS else min(os.cpu_count() or 1, 16)


def logged(blocks: Iterable[dict], size: int) -> Iterator[dict]:
  """Passes blocks on, with a line on stderr every LOG_SECONDS."""
  done, last = 0, time.monotonic()
  for block in blocks:
    yield block
    field = next(iter(block))
    done += len(block[field])
    if done < size and time.monotonic() - last > LOG_SECONDS:
      last = time.monotonic()
      text = f'decoded {done:,} of {size:,} {NOUNS[field]} into the cache'
      print(f'vaejax: {text}', file=sys.stderr)


def all_content(load: Callable) -> dict[str, str]:
  """{field: digest} of all rows."""
  return digests(load())


def sampled_content(rows: Rows, extra: dict) -> dict[str, str]:
  """{field: digest}: of the names and sizes of the files of a large split, and of the bytes of some
  of them. It does not depend on where the folder is."""
  names, sizes, paths = rows.identity()
  contents = []
  for path in paths:
    with open(path, 'rb') as file:
      contents.append(file.read())
  return {
    rows.field: digest(packed(names), sizes, str(rows.decoder), *contents),
    **digests(extra),
  }
