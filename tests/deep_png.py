"""16-bit PNGs in colour or with alpha, which Pillow cannot write."""

import struct
import zlib

import numpy as np


def png(h: int, w: int, colour_type: int, samples: int, seed: int = 0) -> tuple[bytes, np.ndarray]:
  """The bytes of a PNG with random pixels, and these: uint16 [h, w, samples]."""
  chunk = lambda kind, data: (
    struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
  )
  header = chunk(b'IHDR', struct.pack('>IIBBBBB', w, h, 16, colour_type, 0, 0, 0))
  values = np.random.default_rng(seed).integers(0, 65536, (h, w, samples), np.uint16)
  data = zlib.compress(b''.join(b'\0' + row.astype('>u2').tobytes() for row in values))
  start = b'\x89PNG\r\n\x1a\n'
  return start + header + chunk(b'IDAT', data) + chunk(b'IEND', b''), values
