"""Batches of images and videos as grids, and their PNG and GIF files."""

import io
import math
from collections.abc import Sequence

import numpy as np

from vaejax.runs.files import write_atomic

SEPARATOR = 80  # a grey that is visible next to black digits and on white paper
VIEW_PIXELS = 512  # small pictures are enlarged up to this
FRAME_MS = 120  # of a GIF


def grid(images, columns: int | None = None) -> np.ndarray:
  """Arranges images in rows, left to right, with a thin grey line between them.

  Args:
    images: float [N, H, W, C] in [0, 1]; values outside are clipped, NaN is mid-grey. Or videos
      [N, T, H, W, C], each a row of its frames.
    columns: images in a row; by default, the picture is nearly square.

  Returns:
    uint8 [rows·(H + s) − s, columns·(W + s) − s, C], s = 1 pixel, or 2 if H or W is 64 or more.

  Raises:
    ValueError: images of another rank, or none, or columns below 1.
  """
  pixels, frames = _to_uint8(images)
  columns = frames or columns
  n, height, width, _ = pixels.shape
  if columns is None:
    columns = min(n, math.ceil(math.sqrt(n * height / width)))
  return _tile(_fill_row(pixels, columns), columns)


def pairs(originals, reconstructions, columns: int = 8) -> np.ndarray:
  """A grid of alternating rows: originals, and below each its reconstruction.

  Args:
    originals: float [N, H, W, C] in [0, 1], or videos [N, T, H, W, C], each a row of its frames.
    reconstructions: the same shape.
    columns: square images in a row at most; of wide images proportionally fewer.

  Returns:
    uint8 [h, w, C], arranged as by `grid`, two rows for every `columns` images.

  Raises:
    ValueError: the shapes differ, or as `grid`.
  """
  (above, frames), (below, _) = _to_uint8(originals), _to_uint8(reconstructions)
  if above.shape != below.shape:
    raise ValueError(f'originals {above.shape} and reconstructions {below.shape} differ in shape')
  n, height, width, _ = above.shape
  columns = frames or min(max(1, columns // max(1, width // height)), n)
  rows = (-1, columns, *above.shape[1:])
  both = [_fill_row(pixels, columns).reshape(rows) for pixels in (above, below)]
  return _tile(np.stack(both, axis=1).reshape(-1, *above.shape[1:]), columns)


def video_grid(videos, columns: int | None = None) -> np.ndarray:
  """A moving grid: float [N, T, H, W, C] in [0, 1] -> uint8 [T, h, w, C], each frame arranged as by
  `grid`."""
  return np.stack([grid(frame, columns) for frame in np.moveaxis(np.asarray(videos), 1, 0)])


def channels_shown(x, shown: Sequence[int] = (), colours: bool = True) -> np.ndarray:
  """The channels of images or videos [..., H, W, C] that a picture shows, all by default.

  1 or 3 (RGB) channels stay as they are. So do 4 (RGBA) if `colours` is set and `shown` is empty.
  Others become grey images next to each other, with a thin line between them:
  [..., H, C (W + 1) - 1, 1].
  """
  x = np.asarray(x)
  x = x[..., list(shown)] if shown else x
  channels = x.shape[-1]
  if channels in (1, 3) or (channels == 4 and colours and not shown):
    return x
  line = np.full_like(x[..., :1, :1], SEPARATOR / 255)  # [..., H, 1, 1]
  parts = [part for c in range(channels) for part in (line, x[..., c : c + 1])]
  return np.concatenate(parts[1:], axis=-2)


def enlarge(image, scale: int | None = None) -> np.ndarray:
  """Repeats each pixel of an image [H, W, C] as a square: [H·scale, W·scale, C]. By default the
  largest scale that keeps both sides within 512 pixels, or 1."""
  if scale is None:
    scale = max(1, VIEW_PIXELS // max(image.shape[:2]))
  return image.repeat(scale, axis=0).repeat(scale, axis=1)


def encode_png(image, command: str = '') -> bytes:
  """The PNG file of an image: uint8 [H, W, C], C = 1 (grey), 3 (RGB) or 4 (RGBA). The command that
  made it goes into its metadata, if one is given.

  Raises:
    ValueError: another dtype, rank or number of channels.
  """
  from PIL import Image, PngImagePlugin

  if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3, 4):
    raise ValueError(f'expected uint8 [H, W, 1, 3 or 4], got {image.dtype} {image.shape}')
  file, about = io.BytesIO(), PngImagePlugin.PngInfo()
  if command:
    about.add_text('command', command)
  picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
  picture.save(file, 'PNG', pnginfo=about)
  return file.getvalue()


def write_png(path, image, scale: int | None = None, command: str = '') -> None:
  """Writes an image, enlarged as by `enlarge`, to a PNG file, atomically. `command`: see
  `encode_png`.

  Raises:
    ValueError: as `encode_png`.
    RunError: the disk is full.
  """
  write_atomic(path, encode_png(enlarge(image, scale), command))


def write_gif(
  path, frames, scale: int | None = None, command: str = '', milliseconds: int = FRAME_MS
) -> None:
  """Writes frames, enlarged as by `enlarge`, to a GIF that repeats for ever, atomically.

  Args:
    frames: uint8 [T, H, W, C], C = 1 (grey), 3 (RGB; a GIF has at most 256 colours) or 4 (RGBA,
      put on white).
    command: what made it, for its metadata.
    milliseconds: of each frame; a GIF has a resolution of 10.

  Raises:
    ValueError: another dtype, rank or number of channels.
    RunError: the disk is full.
  """
  from PIL import Image

  if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] not in (1, 3, 4):
    raise ValueError(f'expected uint8 [T, H, W, 1, 3 or 4], got {frames.dtype} {frames.shape}')
  if frames.shape[3] == 4:
    alpha = frames[..., 3:] / 255
    frames = np.round(frames[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8)
  large = (enlarge(frame, scale) for frame in frames)
  first, *rest = [Image.fromarray(f[..., 0] if f.shape[2] == 1 else f) for f in large]
  file = io.BytesIO()
  about = {'comment': command.encode()} if command else {}
  first.save(file, 'GIF', save_all=True, append_images=rest, duration=milliseconds, loop=0, **about)
  write_atomic(path, file.getvalue())


def _to_uint8(images) -> tuple[np.ndarray, int]:
  """Images as uint8 [N, H, W, C], and the number of frames of a video, 0 for images."""
  images = np.asarray(images, np.float32)
  if images.ndim not in (4, 5) or not images.size:
    raise ValueError(f'expected images [N, H, W, C] with N at least 1, got {images.shape}')
  frames = images.shape[1] if images.ndim == 5 else 0
  images = np.nan_to_num(images.reshape(-1, *images.shape[-3:]), nan=0.5, posinf=1.0, neginf=0.0)
  return np.round(images.clip(0.0, 1.0) * 255).astype(np.uint8), frames


def _fill_row(pixels, columns: int) -> np.ndarray:
  """Completes the last row with images of the separator's grey."""
  if columns < 1:
    raise ValueError(f'columns must be 1 or more, got {columns}')
  missing = -pixels.shape[0] % columns
  return _pad(pixels, ((0, missing), (0, 0), (0, 0), (0, 0)))


def _pad(pixels, edge) -> np.ndarray:
  """Images with an edge of the separator's grey, which is opaque."""
  padded = np.pad(pixels, edge, constant_values=SEPARATOR)
  if pixels.shape[-1] == 4:
    alpha = np.pad(pixels[..., 3], edge[:-1], constant_values=255)
    padded[..., 3] = alpha
  return padded


def _tile(pixels, columns: int) -> np.ndarray:
  _, height, width, channels = pixels.shape
  line = 2 if max(height, width) >= 64 else 1
  pixels = _pad(pixels, ((0, 0), (0, line), (0, line), (0, 0)))
  rows = pixels.reshape(-1, columns, height + line, width + line, channels)
  picture = rows.transpose(0, 2, 1, 3, 4).reshape(-1, columns * (width + line), channels)
  return picture[:-line, :-line]
