"""Windows of videos in memory."""

import jax
import numpy as np

from vaejax.data import fingerprint, windows
from vaejax.data.settings import Settings
from vaejax.data.table import Table


def cut(rows: Table, split: str, settings: Settings) -> Table:
  """A table whose videos are cut into windows of `data.frames`, as those of files are; other rows
  as they are. Raises UserError if the videos are too short."""
  frames, stride = settings.frames, settings.stride
  if 'video' not in rows.row or not frames:
    return rows
  windows.check_stride(stride)
  length, *shape = rows.row['video'].shape
  lengths = np.full(rows.size, length)
  windows.note(lengths, frames, f'the {split} data')
  if length == frames:
    return rows
  arrays = rows.load()
  video, start = windows.divide(lengths, frames, stride)

  def fetch(index):
    of, first = video[index], start[index]
    cut_out = arrays['video'][of[:, None], first[:, None] + np.arange(frames)]
    return {name: cut_out if name == 'video' else x[of] for name, x in arrays.items()}

  def load():
    if not stride:  # a view
      return {**arrays, 'video': arrays['video'][:, :frames]}
    return fetch(np.arange(len(video)))

  row = {**rows.row, 'video': jax.ShapeDtypeStruct((frames, *shape), rows.row['video'].dtype)}
  return rows._replace(
    size=len(video),
    row=row,
    load=load,
    fetch=fetch,
    labels=rows.labels and (lambda: rows.labels()[video]),
    groups=(lambda: video) if stride else None,
    content=fingerprint.content(len(video), row, fetch),
  )
