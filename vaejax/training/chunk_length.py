"""How many steps the host dispatches at once."""

import math

from vaejax.distributed import processes


class ChunkLength:
  """The number of steps in a chunk: about half a second's, so that signals and progress come soon.

  All processes must dispatch the same chunks. Process 0 times the first few and decides; from then
  on the length stays, and nothing is shared between steps.
  """

  SECONDS, WARM_UP = 0.5, 12

  def __init__(self):
    self.length, self.chunks, self.step_seconds = 1, 0, math.inf

  @property
  def warming_up(self) -> bool:
    """Whether chunks are still timed."""
    return self.chunks < self.WARM_UP

  def next(self) -> int:
    """The most steps that the next chunk may have; the same on all processes."""
    if self.warming_up and self.chunks:
      fitting = max(1, int(min(self.SECONDS / self.step_seconds, 2 * self.length)))
      self.length = processes.broadcast(lambda: fitting)
    return self.length

  def record(self, steps: int, seconds: float) -> None:
    """Records the time of a chunk. The fastest one counts: others compiled, or were disturbed."""
    self.chunks += 1
    self.step_seconds = min(self.step_seconds, seconds / steps)
