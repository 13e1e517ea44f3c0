"""Rows of picture files: how they are read, cached and identified."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from vaejax import units
from vaejax.data import decoded, real
from vaejax.data.cached import digest, packed
from vaejax.data.fingerprint import EXACT_BYTES, row_bytes
from vaejax.data.fit import fit_image
from vaejax.data.readers import listing, pictures
from vaejax.data.settings import Settings
from vaejax.data.table import digests
from vaejax.errors import UserError

SAMPLE = 64  # files by which a large split is identified
LOG_SECONDS = 5
UNIT_ROWS, UNIT_BYTES = 1000, 2**28  # most training rows, and most bytes, that units are fitted to


class Decoder(NamedTuple):
  """How a file becomes an image [h, w, channels] of a dtype, as plain data for other processes.

  Attributes:
    size, fit: see data.fit.
    background: red, green and blue behind what is transparent.
    shape: the shape [H, W, C] of a row.
  """

  channels: int
  dtype: str
  size: int | None
  fit: str
  background: tuple[int, int, int]
  shape: tuple[int, int, int]


def fetch_rows(root: str, names: list[str], decoder: Decoder, extra: dict, indices) -> dict:
  """The rows of the files at `indices` [n], {field: [n, ...]}. Raises UserError."""
  images = np.empty((len(indices), *decoder.shape), decoder.dtype)
  for i, index in enumerate(indices):
    path = os.path.join(root, names[index])
    image = pictures.decode(path, decoder.channels, decoder.background)
    if image.dtype != images.dtype:
      raise UserError(
        f'{listing.shown(path)} has pixels of {image.dtype}, but most pictures here '
        f'{images.dtype}. Convert it, or move it away'
      )
    if not decoder.size and image.shape != decoder.shape:
      raise UserError(
        f'{listing.shown(path)} is {image.shape[1]}x{image.shape[0]}, but others are '
        f'{decoder.shape[1]}x{decoder.shape[0]}. Set data.size to one side for all'
      )
    images[i] = fit_image(image, decoder.size, None, decoder.fit)
  return {'image': images, **{field: values[indices] for field, values in extra.items()}}


def load_rows(origin: str, key: list, row, size: int, fetch: Callable, threads: int) -> dict:
  """All rows of a split, memory-mapped from the cache."""
  blocks = lambda: logged(decoded.blocks(fetch, size, row_bytes(row), threads), size)
  return decoded.load(origin, key, row, size, blocks)


def logged(blocks: Iterable[dict], size: int) -> Iterator[dict]:
  """Passes blocks on, with a line on stderr every LOG_SECONDS."""
  done, last = 0, time.monotonic()
  for block in blocks:
    yield block
    done += len(block['image'])
    if done < size and time.monotonic() - last > LOG_SECONDS:
      last = time.monotonic()
      print(f'vaejax: decoded {done:,} of {size:,} pictures into the cache', file=sys.stderr)


def fit_units(fetch: Callable, settings: Settings) -> units.Units:
  """The units of real numbers, fitted to evenly spaced training rows. Raises UserError if
  `data.transform` does not fit them."""
  files, decoder = fetch.args[1], fetch.args[2]
  bytes_each = int(np.prod(decoder.shape)) * np.dtype(decoder.dtype).itemsize
  count = max(1, min(len(files), UNIT_ROWS, UNIT_BYTES // bytes_each))
  index = np.linspace(0, len(files) - 1, count).astype(int)
  return real.fit_units(fetch(index)['image'], settings)


def content(files, index, load: Callable, extra: dict, decoder: list, size: int) -> dict[str, str]:
  """{field: digest}: of all rows, or for large splits of their names and sizes, and of the bytes of
  the SAMPLE files with the smallest fractions. Neither depends on where the folder is."""
  if size <= EXACT_BYTES:
    return digests(load())
  names = [files.names[i] for i in index]
  sample = index[np.argsort(files.fractions[index], kind='stable')[:SAMPLE]]
  contents = []
  for i in np.sort(sample):
    with open(files.path(int(i)), 'rb') as file:
      contents.append(file.read())
  image = digest(packed(names), files.sizes[index], str(decoder), *contents)
  return {'image': image, **digests(extra)}
