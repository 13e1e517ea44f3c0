"""Early stopping: a run ends once `eval.patience` tests in a row have not improved on the best one.

The decision depends on the tests alone, which metrics.jsonl keeps. So a run that was killed and
resumed ends at the same step.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from vaejax.core import sharding, stack
from vaejax.distributed import processes
from vaejax.errors import UserError
from vaejax.runs import checkpoint
from vaejax.runs.files import read_rows
from vaejax.types import State


class Patience(NamedTuple):
  """When to stop.

  Attributes:
    tests: the number of tests in a row without an improvement that ends a run; 0: none does.
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


def read_history(patience: Patience, folder: Path) -> list[tuple[int, float]]:
  """The history in the log of a workdir, which process 0 reads."""
  read = lambda: patience.history(read_rows(folder / 'metrics.jsonl'))
  return [(step, value) for step, value in processes.broadcast(read)]


def early_end(setup: Any, tests: list[tuple[int, float]], state: State, log: Any) -> State | None:
  """The state with which a run stops early, if its patience is over at a test; else None.

  `state` is the one that was tested, on any devices. The device may have gone on since: those steps
  do not count. Every process must call it.
  """
  patience, step = setup.patience, stack.current_step(state)
  is_over = processes.broadcast(lambda: patience.is_over(tests))
  if not is_over or step >= setup.cadence.steps:
    return None
  if log:
    best = patience.best_step(tests)
    since = 'was never finite' if best is None else f'has not improved since step {best}'
    log.print(
      f'stopped early at step {step}: {patience.metric} {since} (eval.patience={patience.tests})'
    )
  place = lambda x, leaf: sharding.put_global(x, leaf.sharding)
  return checkpoint.decode(jax.tree.map(place, checkpoint.encode(state), setup.abstract_state))
