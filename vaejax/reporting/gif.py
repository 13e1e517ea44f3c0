"""Videos as animated GIFs."""

import io

import numpy as np

from vaejax.reporting.images import enlarge, grid
from vaejax.runs.files import write_atomic

DURATION = 120  # milliseconds of a frame


def film(videos, columns: int | None = None) -> np.ndarray:
  """Lays videos out in a grid that moves: float [N, T, H, W, C] in [0, 1] -> uint8 [T, h, w, C],
  each frame as `images.grid` lays out N images."""
  return np.stack([grid(frame, columns) for frame in np.moveaxis(np.asarray(videos), 1, 0)])


def encode_gif(frames) -> bytes:
  """The GIF file of uint8 [T, H, W, C], C = 1 (grey) or 3 (RGB, of 256 colours at most), which
  plays for ever. ValueError for another dtype, rank or number of channels."""
  from PIL import Image

  if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] not in (1, 3):
    raise ValueError(f'expected uint8 [T, H, W, 1 or 3], got {frames.dtype} {frames.shape}')
  first, *rest = [Image.fromarray(f[..., 0] if f.shape[2] == 1 else f) for f in frames]
  file = io.BytesIO()
  first.save(file, 'GIF', save_all=True, append_images=rest, duration=DURATION, loop=0)
  return file.getvalue()


def write_gif(path, frames, scale: int | None = None) -> None:
  """Writes frames, enlarged as `images.enlarge` does, to a GIF file, atomically.

  Raises:
    ValueError: as `encode_gif`.
    RunError: the disk is full.
  """
  write_atomic(path, encode_gif(np.stack([enlarge(frame, scale) for frame in frames])))
