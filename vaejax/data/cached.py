"""Arrays in files of the user's cache, with a checksum."""

import contextlib
import hashlib
import io
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np


def digest(*parts) -> str:
  """A digest of texts, bytes and arrays."""
  result = hashlib.blake2b(digest_size=12)
  for part in parts:
    if isinstance(part, str):
      part = part.encode('utf-8', 'surrogateescape')
    elif isinstance(part, np.ndarray):
      part = np.ascontiguousarray(part)
    result.update(f'{memoryview(part).nbytes} '.encode())
    result.update(part)
  return result.hexdigest()


def packed(texts: Iterable[str]) -> np.ndarray:
  """Texts as bytes uint8, each ended by a zero byte."""
  data = ''.join(f'{t}\0' for t in texts).encode('utf-8', 'surrogateescape')
  return np.frombuffer(data, np.uint8)


def text(data: np.ndarray) -> list[str]:
  """The texts of `packed`."""
  return data.tobytes().decode('utf-8', 'surrogateescape').split('\0')[:-1]


def read_arrays(path: Path) -> dict[str, np.ndarray]:
  """The arrays of a cached file, {} if it does not exist or is damaged."""
  with contextlib.suppress(OSError, EOFError, ValueError, LookupError, zipfile.BadZipFile):
    with np.load(path, allow_pickle=False) as file:
      arrays = {name: file[name] for name in file.files}
    if arrays.pop('checksum').tobytes().decode() == checksum(arrays):
      return arrays
  return {}


def write_arrays(path: Path, **arrays: np.ndarray) -> None:
  """Writes a file of the cache with its checksum. Disk errors are ignored, because the file can be
  computed again."""
  buffer = io.BytesIO()
  np.savez(buffer, checksum=np.frombuffer(checksum(arrays).encode(), np.uint8), **arrays)
  temporary = path.with_name(f'tmp-{path.name}.{os.getpid()}')
  with contextlib.suppress(OSError):
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
      temporary.write_bytes(buffer.getvalue())
      os.replace(temporary, path)
    except OSError:
      temporary.unlink(missing_ok=True)


def checksum(arrays: Mapping[str, np.ndarray]) -> str:
  """A digest of named arrays."""
  items = sorted(arrays.items())
  return digest(*(part for name, x in items for part in (f'{name} {x.dtype} {x.shape}', x)))
