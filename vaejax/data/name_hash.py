"""Numbers that depend on the names of files alone, for choices that new files do not change."""

import hashlib
import unicodedata

import numpy as np


def fractions(names: list[str], salt: str = '') -> np.ndarray:
  """A number in [0, 1) for each name, float64 [N]. Another salt gives independent numbers."""
  # Macs store accents as separate characters, which must not decide anything.
  keys = (unicodedata.normalize('NFC', name).encode('utf-8', 'surrogateescape') for name in names)
  salt = salt.encode()
  hashes = b''.join(hashlib.blake2b(key, digest_size=8, salt=salt).digest() for key in keys)
  return (np.frombuffer(hashes, '>u8') >> 11).astype(np.float64) / 2.0**53


def sample(fractions: np.ndarray, count: int) -> np.ndarray:
  """Sorted indices of `count` names, or of all if there are fewer. They are from all splits: the
  split of a name depends on its fraction, and this choice on the lower bits of it alone."""
  if len(fractions) <= count:
    return np.arange(len(fractions))
  return np.sort(np.argpartition(fractions * 2.0**20 % 1, count)[:count])
