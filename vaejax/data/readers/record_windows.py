"""Windows of the videos of a TFDS dataset, from the number of frames of each record."""

import json
from typing import NamedTuple

import numpy as np

from vaejax.data import windows
from vaejax.data.cache import cache_folder
from vaejax.data.cached import digest, read_arrays, write_arrays
from vaejax.data.readers import decoding
from vaejax.data.readers.clips import Clip, count
from vaejax.data.readers.damaged import reading
from vaejax.data.readers.prepared import Records, file_key
from vaejax.data.settings import Settings

BLOCK = 64  # records that are read at once
LAYOUT = 1


class Windows(NamedTuple):
  """The record and the first frame of each window, int32 [N], and lines for the user."""

  record: np.ndarray
  start: np.ndarray
  notes: tuple[str, ...]


def find(clip: Clip, records: Records, settings: Settings, folder: str) -> Windows:
  """The windows of a split. Raises UserError if all of its videos are too short."""
  windows.check_stride(settings.stride)
  if clip.length is not None:
    lengths = np.full(records.size, clip.length, np.int32)
  else:
    lengths = read_lengths(clip, records, folder)
  notes = windows.note(lengths, settings.frames, f'{folder}, {records.name}')
  return Windows(*windows.divide(lengths, settings.frames, settings.stride), notes)


def read_lengths(clip: Clip, records: Records, folder: str) -> np.ndarray:
  """The number of frames of each record, int32 [N]. The first call reads every record; later
  calls read the cache."""
  key = json.dumps([LAYOUT, clip.key, records.name, file_key(folder, records.files)])
  path = cache_folder('lengths') / f'{digest(key)}.npz'
  lengths = read_arrays(path).get('lengths')
  if lengths is None or len(lengths) != records.size:
    lengths = np.empty(records.size, np.int32)
    with reading(f'{folder}, {records.name}', Exception):
      for first in range(0, records.size, BLOCK):
        index = range(first, min(first + BLOCK, records.size))
        for i, record in zip(index, records.source.__getitems__(list(index)), strict=True):
          lengths[i] = count(clip, decoding.parse(record)[clip.key])
    write_arrays(path, lengths=lengths)
  return lengths
