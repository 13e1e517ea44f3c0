"""Video files, by PyAV, which the extra 'video' installs."""

from collections.abc import Iterator

import numpy as np

from vaejax.data.readers.pictures import Damaged
from vaejax.errors import UserError


def library():
  """The module av. Raises UserError if it is not installed."""
  try:
    import av
  except ImportError:
    raise UserError(
      "video files such as MP4 need PyAV, which is not installed. Run pip install 'vaejax[video]', "
      'or store the frames as pictures in a folder for each video'
    ) from None
  return av


def frames(path: str, start: int = 0, stop: int | None = None) -> Iterator[np.ndarray]:
  """Frames `start` to `stop` of a video file, uint8 [h, w, 3], rotated as the file says. Raises
  UserError without PyAV, and Damaged."""
  av = library()
  try:
    with av.open(path) as container:
      if not container.streams.video:
        raise Damaged(f'{path} has no video. Move it away')
      container.streams.video[0].thread_type = 'AUTO'
      # From the beginning, because seeking by time gives other frames where the rate varies.
      for i, frame in enumerate(container.decode(video=0)):
        if stop is not None and i >= stop:
          break
        if i >= start:
          turns = round(getattr(frame, 'rotation', 0) / 90) % 4  # counter-clockwise
          yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format='rgb24'), turns))
  except (av.FFmpegError, OSError, ValueError, EOFError) as error:
    line = (str(error).splitlines() or [type(error).__name__])[0]
    raise Damaged(
      f'{path} cannot be read: {line}. Repair it or move it away, or set data.skip_damaged=True to '
      'go on without such files'
    ) from None
