"""Which axes an array of images or videos has: with or without channels, last or first."""

import math
from typing import NamedTuple

import numpy as np

from vaejax.errors import UserError
from vaejax.plural import counted

CHANNELS = 1, 2, 3, 4  # numbers of channels that are no height or width
MOVING_MNIST = (20, 10_000, 64, 64)  # mnist_test_seq.npy, which has frames first


class Axes(NamedTuple):
  """How rows get the axes [H, W, C] or [T, H, W, C].

  Attributes:
    add: whether a channel axis is added.
    first: whether channels are before height and width.
    frames_first: whether an array is [T, N, H, W].
    note: a line for the user on how an ambiguous shape is read, else ''.
  """

  add: bool = False
  first: bool = False
  frames_first: bool = False
  note: str = ''


def find(shape: tuple[int, ...], rank: int, what: str) -> Axes:
  """The Axes of an array of images (rank 4, including N) or videos (rank 5). Raises UserError for
  another shape; `what` names the array."""
  images = rank == 4
  note = ''
  if not all(shape):
    raise UserError(f'{what} has the shape {list(shape)}, which is empty. Give at least one row')
  if not images and shape == MOVING_MNIST:
    note = f'{what} is [T, N, H, W], as Moving MNIST is: {shape[1]:,} videos of {shape[0]} frames'
    return Axes(add=True, frames_first=True, note=note)
  if len(shape) == rank:
    *_, c, h, w = shape
    if is_first(c, h, w):
      order = ('[N, C, H, W]', '[N, H, W, C]') if images else ('[N, T, C, H, W]', '[N, T, H, W, C]')
      note = f'{what} has the shape {list(shape)}, which is read as {order[0]}, not {order[1]}'
      return Axes(first=True, note=note)
    if w not in CHANNELS and (c < min(h, w) or h in CHANNELS):  # perhaps [H, W, C, N]
      note = (
        f'{what} has the shape {list(shape)}, which is read as {counted(w, "channel")} of {c}x{h}'
      )
    return Axes(note=note)
  if len(shape) == rank - 1 and (images or shape[-1] not in CHANNELS):
    return Axes(add=True)
  raise UserError(f'{what} has the shape {list(shape)}. {advice(shape, images)}')


def is_first(a: int, b: int, c: int) -> bool:
  """Whether the axes of images [a, b, c] are [C, H, W]: the last is no number of colours, and the
  first either is one, or is smaller than the sides of a square."""
  if c in CHANNELS:
    return False
  return (b == c and a < b) or (a in CHANNELS and b not in CHANNELS)


def advice(shape: tuple[int, ...], images: bool) -> str:
  """What to do about an array whose shape is neither of images nor of videos, for an error."""
  if not images:
    if len(shape) == 4:
      return 'Videos are [N, T, H, W, C] or [N, T, H, W]. For one video, save x[None]'
    return 'Videos are [N, T, H, W, C] or [N, T, H, W]'
  if len(shape) == 5:
    return 'For videos, use a config of videos, such as configs/rvae.py'
  side = math.isqrt(shape[1]) if len(shape) == 2 else 0
  if side > 4 and side**2 == shape[1]:
    return f'Images are [N, H, W, C] or [N, H, W]: save x.reshape(-1, {side}, {side})'
  return 'Images are [N, H, W, C] or [N, H, W]'


def row_shape(shape: tuple[int, ...], axes: Axes) -> tuple[int, ...]:
  """The shape of one row, [H, W, C] or [T, H, W, C]."""
  row = (shape[0], *shape[2:]) if axes.frames_first else shape[1:]
  row = (*row, 1) if axes.add else row
  return (*row[:-3], *row[-2:], row[-3]) if axes.first else row


def arrange(x: np.ndarray, axes: Axes) -> np.ndarray:
  """A view of rows [N, ...] with the axes [H, W, C] or [T, H, W, C]. If frames are first, the
  caller has swapped the first two axes."""
  x = x[..., None] if axes.add else x
  return np.moveaxis(x, -3, -1) if axes.first else x
