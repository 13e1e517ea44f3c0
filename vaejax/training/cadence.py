"""After which steps a row is logged, a test runs and a checkpoint is saved."""

from typing import NamedTuple


class Cadence(NamedTuple):
  """How often something happens, in steps; 0: only after the last step."""

  steps: int
  log: int
  test: int
  save: int

  def is_due(self, step: int, every: int) -> bool:
    """Whether something that happens every `every` steps is due after a step."""
    return step == self.steps or (every > 0 and step % every == 0)

  def next_boundary(self, step: int) -> int:
    """The next step after `step` that ends a row, or after which a test or a checkpoint is due."""
    periods = self.log, self.save, self.test or self.steps
    return min(self.steps, *(step + every - step % every for every in periods))
