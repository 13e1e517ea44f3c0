"""PNG files of any size in constant memory, written band by band.

Pillow and its like encode a picture that is whole in memory, and the writers that stream compress
row by row in Python.
"""

import struct
import zlib
from collections.abc import Iterable

import numpy as np

from vaejax.runs.files import open_atomic

COLOURS = {1: 0, 3: 2, 4: 6}  # channels -> colour type (PNG specification, section 11.2.1)
LEVEL = 6  # of zlib
DENSITY = 11811  # pixels per metre: 300 dpi
MAX_CHUNK = 2**20


def write_bands(
  path, bands: Iterable[np.ndarray], shape: tuple[int, int, int], command: str = ''
) -> None:
  """Writes a picture of `shape` [H, W, C] from bands of its rows, uint8 [h, W, C], atomically.

  The command that made it goes into its metadata (tEXt), if one is given.

  Raises:
    ValueError: the bands are not uint8, or do not make up the shape.
    RunError: the disk is full.
  """
  height, width, channels = shape
  header = struct.pack('>IIBBBBB', width, height, 8, COLOURS[channels], 0, 0, 0)
  compressor, previous, rows = zlib.compressobj(LEVEL), None, 0
  with open_atomic(path) as file:
    file.write(b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header))
    file.write(chunk(b'pHYs', struct.pack('>IIB', DENSITY, DENSITY, 1)))
    if command:
      file.write(chunk(b'tEXt', b'command\0' + command.encode('latin-1', 'backslashreplace')))
    for band in bands:
      if band.dtype != np.uint8 or band.shape[1:] != (width, channels):
        raise ValueError(f'expected uint8 [h, {width}, {channels}], got {band.dtype} {band.shape}')
      filtered = filter_rows(band, previous)
      previous, rows = band[-1], rows + len(band)
      write_data(file, compressor.compress(filtered))
    if rows != height:
      raise ValueError(f'expected {height} rows, got {rows}')
    write_data(file, compressor.flush())
    file.write(chunk(b'IEND', b''))


def write_data(file, data: bytes) -> None:
  """Writes compressed data as chunks."""
  for first in range(0, len(data), MAX_CHUNK):
    file.write(chunk(b'IDAT', data[first : first + MAX_CHUNK]))


def chunk(kind: bytes, data: bytes) -> bytes:
  """A chunk of a PNG file: length, kind, data, checksum."""
  return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def filter_rows(band: np.ndarray, previous: np.ndarray | None = None) -> bytes:
  """The rows of a band uint8 [h, W, C], each after the number of its filter.

  Of the filters None, Sub and Up (section 9.2), each row gets the one with the smallest sum of
  absolute differences (section 12.7).

  Args:
    previous: the row before the band, [W, C]; None: it is the first.
  """
  before = np.zeros_like(band[0]) if previous is None else previous
  above = np.concatenate([before[None], band[:-1]])
  left = np.pad(band, ((0, 0), (1, 0), (0, 0)))[:, :-1]
  best, smallest = np.empty((len(band), 1 + band[0].size), np.uint8), None
  for number, reference in ((0, None), (1, left), (2, above)):
    rows = (band if reference is None else band - reference).reshape(len(band), -1)
    size = np.minimum(rows, np.negative(rows)).sum(1, dtype=np.int64)
    chosen = np.ones(len(band), bool) if smallest is None else size < smallest
    best[chosen, 0], best[chosen, 1:] = number, rows[chosen]
    smallest = size if smallest is None else np.minimum(smallest, size)
  return best.tobytes()
