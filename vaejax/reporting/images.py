"""Pictures of a run: batches of images as PNG grids, curves as SVG."""

import io
import math

import numpy as np

from vaejax.runs.files import write_atomic

_SEPARATOR = 80  # a grey that stands out from the black of digits and from white paper
_VIEW = 512  # pixels: small pictures are enlarged up to this
_POINTS = 500  # of a curve at most: more than a chart has pixels for
_WIDE, _HIGH, _LEFT, _RIGHT, _TOP, _BOTTOM = 420, 230, 54, 14, 10, 26  # pixels of a chart


def grid(images, columns: int | None = None) -> np.ndarray:
  """Lays images out in rows, left to right, with a thin grey line between cells.

  Args:
    images: float [N, H, W, C] in [0, 1]; what lies outside is clipped, NaN is mid-grey. Or videos
      [N, T, H, W, C], each a row of its frames.
    columns: cells a row; by default as many as make the picture nearly square.

  Returns:
    uint8 [rows·(H + s) − s, columns·(W + s) − s, C], s = 1 pixel, or 2 where H or W is 64 or more.

  Raises:
    ValueError: images of another rank, none of them, or columns below 1.
  """
  cells, frames = _bytes(images)
  columns = frames or columns
  n, height, width, _ = cells.shape
  if columns is None:
    columns = min(n, math.ceil(math.sqrt(n * height / width)))
  return _tile(_fill(cells, columns), columns)


def pairs(originals, reconstructions, columns: int = 8) -> np.ndarray:
  """A grid in which rows alternate: originals, and below each its reconstruction.

  Args:
    originals: float [N, H, W, C] in [0, 1], or videos [N, T, H, W, C], each a row of its frames.
    reconstructions: the same shape.
    columns: cells a row at most.

  Returns:
    uint8 [h, w, C], laid out as `grid` does, two rows for every `columns` images.

  Raises:
    ValueError: the shapes differ, or as `grid`.
  """
  (above, frames), (below, _) = _bytes(originals), _bytes(reconstructions)
  if above.shape != below.shape:
    raise ValueError(f'originals {above.shape} and reconstructions {below.shape} differ in shape')
  columns = frames or min(columns, above.shape[0])
  above, below = _fill(above, columns), _fill(below, columns)
  rows = (-1, columns, *above.shape[1:])
  both = np.stack([above.reshape(rows), below.reshape(rows)], axis=1)
  return _tile(both.reshape(-1, *above.shape[1:]), columns)


def enlarge(image, scale: int | None = None) -> np.ndarray:
  """Each pixel of an image [H, W, C] as a square of `scale` pixels: [H·scale, W·scale, C]. By
  default the largest whole scale that keeps both sides within 512 pixels, or 1."""
  if scale is None:
    scale = max(1, _VIEW // max(image.shape[:2]))
  return image.repeat(scale, axis=0).repeat(scale, axis=1)


def encode_png(image) -> bytes:
  """The PNG file of an image: uint8 [H, W, C], C = 1 (grey), 3 (RGB) or 4 (RGBA).

  Raises:
    ValueError: another dtype, rank or number of channels.
  """
  from PIL import Image

  if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in (1, 3, 4):
    raise ValueError(f'expected uint8 [H, W, 1, 3 or 4], got {image.dtype} {image.shape}')
  file = io.BytesIO()
  Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(file, 'PNG')
  return file.getvalue()


def write_png(path, image, scale: int | None = None) -> None:
  """Writes an image, enlarged as `enlarge` does, to a PNG file, atomically.

  Raises:
    ValueError: as `encode_png`.
    RunError: the disk is full.
  """
  write_atomic(path, encode_png(enlarge(image, scale)))


def chart(curves) -> str:
  """Curves over steps as an svg element, with axes and ticks, coloured by the page's CSS classes.

  Where the first twentieth of the run would flatten the rest, it runs out of the chart.

  Args:
    curves: {CSS class: [(step, value)]}, in the order of the steps, at least one point in all.
      Values are finite and below 1e30 in size.
  """
  values = [point for points in curves.values() for point in points]
  end = max(1, *(step for step, _ in values))
  low, high = _range(values, end)
  across, up = _WIDE - _LEFT - _RIGHT, _HIGH - _TOP - _BOTTOM
  x = lambda step: f'{_LEFT + across * step / end:.1f}'
  y = lambda value, down=0: f'{_TOP + up * (high - value) / (high - low) + down:.1f}'
  parts = [
    f'<line x1="{_LEFT}" x2="{_WIDE - _RIGHT}" y1="{y(v)}" y2="{y(v)}"/>'
    f'<text x="{_LEFT - 8}" y="{y(v, 4)}" text-anchor="end">{short(v)}</text>'
    for v in _ticks(low, high)
  ]
  parts += [
    f'<text x="{x(v)}" y="{_HIGH - 6}" text-anchor="middle">{_thousands(v)}</text>'
    for v in _ticks(0, end)
  ]
  foot, left, right = _HIGH - _BOTTOM, _LEFT, _WIDE - _RIGHT
  parts += [
    f'<path class="axis" d="M{left} {_TOP - 4}V{foot}H{right}"/>'
    f'<text x="{left - 8}" y="{_HIGH - 6}" text-anchor="end">step</text>'
  ]
  # An svg within an svg cuts off what lies outside it.
  box = f'0 {_TOP - 4} {_WIDE} {up + 8}'
  parts.append(f'<svg y="{_TOP - 4}" width="{_WIDE}" height="{up + 8}" viewBox="{box}">')
  for name, points in curves.items():
    points = thin(points)
    path = ' '.join(f'{x(step)},{y(value)}' for step, value in points)
    parts.append(f'<polyline class="{name}" points="{path}"/>')
    if len(points) <= 30:
      parts += [f'<circle class="{name}" cx="{x(s)}" cy="{y(v)}" r="2.5"/>' for s, v in points]
  return f'<svg viewBox="0 0 {_WIDE} {_HIGH}">{"".join(parts)}</svg></svg>'


def thin(points, limit: int = _POINTS) -> list:
  """At most `limit` of a curve's points [(x, y)], in order: both ends, and the least and greatest y
  of every stretch between, so that no spike is lost."""
  if len(points) <= limit:
    return list(points)
  inner, stretches = points[1:-1], (limit - 2) // 2
  kept = [points[0]]
  for i in range(stretches):
    part = range(i * len(inner) // stretches, (i + 1) * len(inner) // stretches)
    value = lambda k: inner[k][1]
    kept += [inner[k] for k in sorted({min(part, key=value), max(part, key=value)})]
  return [*kept, points[-1]]


def short(value: float) -> str:
  """A number in few characters: 0.00031, 98.21, 12,345, 1.2e+08."""
  return f'{value:,.0f}' if 1e3 <= abs(value) < 1e7 else f'{value:.4g}'


def _thousands(step) -> str:
  unit, name = (1e6, 'M') if step >= 1e6 else (1e3, 'k') if step >= 1e3 else (1, '')
  return f'{step / unit:g}{name}'


def _range(values, end):
  """The least and greatest value on the y axis."""
  low, high = min(v for _, v in values), max(v for _, v in values)
  late = [value for step, value in values if step > end / 20]
  if len(late) >= 20 and high - low > 4 * (max(late) - min(late)) > 0:
    low, high = min(late), max(late)
  if high - low <= 1e-9 * max(abs(low), abs(high)):  # flat
    low, high = low - abs(low) / 10, high + abs(high) / 10
  room = 0.05 * (high - low) if high - low > 1e-30 else 1.0
  return low - room, high + room


def _ticks(low, high):
  """Four or so round numbers between `low` and `high`."""
  unit = 10.0 ** math.floor(math.log10((high - low) / 4))
  step = unit * next(m for m in (1, 2, 2.5, 5, 10) if m * unit * 4.5 >= high - low)
  return [k * step for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _bytes(images) -> tuple[np.ndarray, int]:
  """Images as uint8 [N, H, W, C], and how many frames a video has, 0 for images."""
  images = np.asarray(images, np.float32)
  if images.ndim not in (4, 5) or not images.size:
    raise ValueError(f'expected images [N, H, W, C] with N at least 1, got {images.shape}')
  frames = images.shape[1] if images.ndim == 5 else 0
  images = np.nan_to_num(images.reshape(-1, *images.shape[-3:]), nan=0.5, posinf=1.0, neginf=0.0)
  return np.round(images.clip(0.0, 1.0) * 255).astype(np.uint8), frames


def _fill(cells, columns: int) -> np.ndarray:
  """Completes the last row with cells of the separator's grey."""
  if columns < 1:
    raise ValueError(f'columns must be 1 or more, got {columns}')
  missing = -cells.shape[0] % columns
  return np.pad(cells, ((0, missing), (0, 0), (0, 0), (0, 0)), constant_values=_SEPARATOR)


def _tile(cells, columns: int) -> np.ndarray:
  _, height, width, channels = cells.shape
  line = 2 if max(height, width) >= 64 else 1
  edge = ((0, 0), (0, line), (0, line), (0, 0))
  cells = np.pad(cells, edge, constant_values=_SEPARATOR)
  rows = cells.reshape(-1, columns, height + line, width + line, channels)
  picture = rows.transpose(0, 2, 1, 3, 4).reshape(-1, columns * (width + line), channels)
  return picture[:-line, :-line]
