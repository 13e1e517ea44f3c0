"""The interface of videos that go on frame by frame."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class Stream(NamedTuple):
  """A video frame by frame: what is carried from one frame to the next, and one step.

  Frames are [B, H, W, C] in the data's own range, and noise is of N(0, 1).

  Attributes:
    start: n -> the carry before the first frame of n videos, a tree of arrays [n, ...].
    observe: (variables, carry, frame, noise) -> the carry after a given frame.
    advance: (variables, carry, noise) -> (carry, frame): the next frame by its mean given a draw of
      its latent from the prior.
    noise: the shape of the noise of one frame.
  """

  start: Callable[[int], Any]
  observe: Callable[..., Any]
  advance: Callable[..., tuple[Any, jax.Array]]
  noise: tuple[int, ...]
