"""The IDX file format (LeCun, Cortes & Burges): an array of bytes, gzipped."""

import gzip
import math
import re
import struct

import numpy as np


def read(path, name: str) -> np.ndarray:
  """The uint8 array in a file. Its rank is part of its official name, as in images-idx3-ubyte.gz.

  Raises ValueError if it is not an IDX file of that rank.
  """
  rank = int(re.search(r'idx(\d)', name)[1])
  with gzip.open(path) as stream:
    data = stream.read()
  magic, *shape = struct.unpack_from(f'>{1 + rank}I', data)
  if magic != 0x800 + rank or len(data) != 4 * (1 + rank) + math.prod(shape):
    raise ValueError(f'{name} is not an IDX file of {rank} dimensions')
  return np.frombuffer(data, np.uint8, offset=4 * (1 + rank)).reshape(shape)
