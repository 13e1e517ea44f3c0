"""Frames as an MP4 file (H.264)."""

import io
from pathlib import Path

import numpy as np

from vaejax.errors import UserError
from vaejax.runs.files import write_atomic


def check() -> None:
  """Raises UserError if the extra `video` is missing."""
  try:
    import av  # noqa: F401
  except ImportError:
    raise UserError("an MP4 needs PyAV, which is missing. Run pip install -e '.[video]'") from None


def write_mp4(path: Path, frames: np.ndarray, fps: int, command: str = '') -> None:
  """Writes frames to an MP4, atomically, with the command as the comment in its metadata.

  Args:
    frames: uint8 [T, h, w, C], C = 1 (grey), 3 (RGB) or 4 (RGBA, put on white). An odd side gets a
      white edge of a pixel, because H.264 stores colours at half the size.

  Raises UserError if the extra `video` is missing.
  """
  check()
  import av

  if frames.shape[3] == 4:
    alpha = frames[..., 3:] / 255
    frames = np.round(frames[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
  frames = np.broadcast_to(frames, (*frames.shape[:3], 3))
  edge = [(0, 0), (0, frames.shape[1] % 2), (0, frames.shape[2] % 2), (0, 0)]
  frames = np.pad(frames, edge, constant_values=255)
  file = io.BytesIO()
  with av.open(file, 'w', format='mp4') as container:
    container.metadata['comment'] = command
    stream = container.add_stream('libx264', rate=fps)
    stream.height, stream.width = frames.shape[1:3]
    stream.pix_fmt, stream.options = 'yuv420p', {'crf': '18'}
    for frame in frames:
      container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')))
    container.mux(stream.encode())
  write_atomic(path, file.getvalue())
