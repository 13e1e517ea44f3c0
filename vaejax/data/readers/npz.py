"""Arrays in .npy and .npz files: their headers, and the offsets of their values in the file."""

import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

LOCAL_HEADER = 30  # bytes of a zip member's local header before its name


class Header(NamedTuple):
  """The header of an array in .npy format; `length` is in bytes."""

  shape: tuple[int, ...]
  fortran: bool
  dtype: np.dtype
  length: int


def read_header(file: BinaryIO) -> Header:
  """The header of an open .npy file. Raises ValueError if it is not one."""
  version = np.lib.format.read_magic(file)
  if version == (1, 0):
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
  elif version == (2, 0):
    shape, fortran, dtype = np.lib.format.read_array_header_2_0(file)
  else:  # only names of fields in other alphabets need it
    raise ValueError(f'.npy version {version}, which only structured arrays have')
  return Header(shape, fortran, dtype, file.tell())


def npy(path: Path) -> tuple[Header, int]:
  """The header of a .npy file, and the offset of its values. Raises OSError or ValueError."""
  with open(path, 'rb') as file:
    header = read_header(file)
  return header, header.length


def npz(path: Path) -> Iterator[tuple[str, Header, int | None]]:
  """The name and header of each array of a .npz file, and the offset of its values, None if they
  are compressed. Raises OSError, ValueError or zipfile.BadZipFile."""
  with zipfile.ZipFile(path) as archive, open(path, 'rb') as raw:
    for info in archive.infolist():
      if not info.filename.endswith('.npy'):
        continue
      with archive.open(info) as file:
        header = read_header(file)
      offset = None
      if info.compress_type == zipfile.ZIP_STORED:
        raw.seek(info.header_offset)
        name, extra = struct.unpack('<HH', raw.read(LOCAL_HEADER)[26:])
        offset = info.header_offset + LOCAL_HEADER + name + extra + header.length
      yield info.filename.removesuffix('.npy'), header, offset


def rows(path: str, key: str, step: int) -> Iterator[np.ndarray]:
  """The rows of a compressed array of a .npz file, in blocks of `step` rows, in order; all at once
  in Fortran order. Raises EOFError if the file ends too early."""
  with zipfile.ZipFile(path) as archive, archive.open(f'{key}.npy') as file:
    header = read_header(file)
    if header.fortran:  # rows do not follow each other
      file.seek(0)
      yield np.lib.format.read_array(file, allow_pickle=False)
      return
    size, row = header.shape[0], header.shape[1:]
    length = int(np.prod(row, dtype=np.int64)) * header.dtype.itemsize
    for first in range(0, size, step):
      count = min(step, size - first)
      data = file.read(count * length)
      if len(data) != count * length:
        raise EOFError(f'{key} of {path} ends too early')
      yield np.frombuffer(data, header.dtype).reshape(count, *row)
