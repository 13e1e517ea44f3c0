"""Windows of videos: the parts of equal length that are rows."""

import numpy as np

from vaejax.errors import UserError
from vaejax.plural import counted


def divide(lengths: np.ndarray, frames: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
  """The video and the first frame of each window, int32 [M] each, in order.

  Args:
    lengths: frames of each video, [N]. Those with fewer than `frames` have no window.
    frames: length of a window.
    stride: frames from one window to the next; 0 takes the first window alone.
  """
  spare = np.asarray(lengths, np.int64) - frames
  count = spare // stride + 1 if stride else np.ones_like(spare)
  count = np.where(spare < 0, 0, count)
  video = np.repeat(np.arange(len(count)), count)
  number = np.arange(len(video)) - np.repeat(np.cumsum(count) - count, count)
  return video.astype(np.int32), (number * stride).astype(np.int32)


def note(lengths: np.ndarray, frames: int, what: str, why: str = '') -> tuple[str, ...]:
  """A line that counts the videos that are left out. Raises UserError if all of them are; `why` is
  then a reason that lengths can have."""
  lengths = np.asarray(lengths)
  short = int((lengths < frames).sum())
  if short == len(lengths):
    longest = int(lengths.max(initial=0))
    raise UserError(
      f'data.frames={frames} is too long: the longest video of {what} has '
      f'{counted(longest, "frame")}{why and f"; {why}"}. Give at most {longest}'
    )
  if not short:
    return ()
  are = f'{counted(len(lengths), "video")} {"is" if short == 1 else "are"}'
  return (f'{what}: {short:,} of {are} shorter than {frames} frames: left out',)


def check_stride(stride: int) -> None:
  """Raises UserError for a stride that is not a number of frames."""
  if type(stride) is not int or stride < 0:
    raise UserError(
      f'data.stride={stride!r} is not a number of frames. Give 0 for the first window alone, or '
      'the frames from one window to the next'
    )
