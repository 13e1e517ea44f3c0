"""Early stopping: a run ends once `eval.patience` tests in a row have not improved on the best one.

The decision depends on the tests alone, which metrics.jsonl keeps. So a run that was killed and
resumed ends at the same step.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from vaejax.errors import UserError


class Patience(NamedTuple):
  """When to stop.

  Attributes:
    tests: how many tests in a row may pass without an improvement; 0: any number.
    best: the validation value that should improve, with '-' before it if smaller is better.
    every: steps between two tests.
  """

  tests: int
  best: str
  every: int

  @property
  def metric(self) -> str:
    """The name of the value."""
    return self.best.lstrip('-')

  def history(self, rows: Iterable[dict]) -> list[tuple[int, float]]:
    """(step, value) of the tests among the rows of a log. Tests at the end of an earlier, shorter
    run do not count: they are not tests of the longer one."""
    return [
      (row['step'], math.nan if row[self.metric] is None else row[self.metric])
      for row in rows
      if row['split'] == 'validation' and self.metric in row and row['step'] % self.every == 0
    ]

  def best_step(self, history: list[tuple[int, float]]) -> int | None:
    """The step of the best finite value, the first of equal ones; None if there is none."""
    sign = -1 if self.best.startswith('-') else 1
    finite = [(sign * value, -step) for step, value in history if math.isfinite(value)]
    return -max(finite)[1] if finite else None

  def is_over(self, history: list[tuple[int, float]]) -> bool:
    """Whether the last `tests` tests have not improved on the best one before them."""
    best = self.best_step(history)
    since = sum(best is None or step > best for step, _ in history)
    return 0 < self.tests <= since


def make(config, stacked: bool) -> Patience | None:
  """The patience of a config, None without eval.patience. Raises UserError if it cannot work."""
  tests, best, every = config.eval.patience, config.checkpoint.best, config.eval.every
  if not tests:
    return None
  if stacked:
    raise UserError(
      f'eval.patience={tests} ends single runs, but the members of a sweep train together. Leave '
      'it at 0, and use --checkpoint=best of each member'
    )
  if not best:
    raise UserError(
      f'eval.patience={tests} needs a value that should improve on the validation split. Set '
      'checkpoint.best, for example checkpoint.best=elbo'
    )
  if not every:
    raise UserError(f'eval.patience={tests} counts tests. Set eval.every to the steps between two')
  return Patience(tests, best, every)
