"""What the host does at a boundary between steps: log a row, test, draw pictures, save.

It works one chunk behind the device, which never waits for it. Metrics of a boundary are a list of
{name: value}: one for each member of a stack, a single one for a run.
"""

import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.core import passes, sharding, stack
from vaejax.core.stack import finite
from vaejax.core.step import scheduled
from vaejax.distributed import processes
from vaejax.objectives.classification import over_labelled
from vaejax.reporting import previews
from vaejax.reporting.log import Log
from vaejax.runs import checkpoint, restore
from vaejax.training import divergence, patience
from vaejax.training.setup import Setup
from vaejax.types import Metrics, State, averaged

EVAL_SEED = 0


class Pending(NamedTuple):
  """Work of a boundary that the device may still be doing.

  Attributes:
    step: of the boundary.
    sums: metrics, summed over all steps since the last row.
    snapshot: the state to save, if a checkpoint is due.
    test: the pass over the watched split, if a test is due.
    pictures: their arrays, if they are due.
  """

  step: int
  sums: Metrics
  snapshot: tuple[State, jax.Array] | None = None
  test: Any = None
  pictures: Any = None


@jax.jit
def take_snapshot(state: State) -> tuple[State, jax.Array]:
  """A copy that the next chunk does not overwrite, and whether all of it is finite: a chunk's own
  metrics do not show what its last update did."""
  return jax.tree.map(jnp.copy, state), finite(state)


class BoundaryHandler:
  """Finishes the boundaries of a run, or of a stack of runs.

  Args:
    log, checkpoints: of process 0, which alone writes; None on the others.
    seconds: training time of earlier starts.
  """

  def __init__(
    self,
    setup: Setup,
    folder: Path,
    state: State,
    log: Log | None,
    checkpoints: checkpoint.Checkpoints | None,
    seconds: float,
  ):
    self.setup, self.folder, self.log, self.checkpoints = setup, folder, log, checkpoints
    self.earlier, self.began = seconds, time.monotonic()
    self.row_step, self.row_time = stack.current_step(state), self.began  # of the last row
    self.frozen = stack.frozen_members(state)
    self.skipped = set()  # evals that could not be computed
    self.test_values = None  # of the last test while training
    self.early = None  # the state of the test after which the run stops early
    self.tests = []  # the history of setup.patience
    if setup.patience:
      self.tests = patience.read_history(setup.patience, folder)
      self.early = patience.early_end(setup, self.tests, state, log)
    self.make_pictures = None  # made when first due: the first step does not wait for test images

  @property
  def all_frozen(self) -> bool:
    """Whether all members of a stack are frozen."""
    return 0 < len(self.setup.members) == len(self.frozen)

  @property
  def is_over(self) -> bool:
    """Whether no more steps are to be run."""
    return self.all_frozen or self.early is not None

  def dispatch(self, step: int, sums: Metrics, state: State) -> Pending:
    """Dispatches the copy, the test and the pictures that are due after a step."""
    setup, cadence = self.setup, self.setup.cadence
    pending = Pending(step, sums)
    test = self.is_test_due(step)
    # A test that decides which checkpoint is best is useless without that checkpoint.
    if cadence.is_due(step, cadence.save) or (test and setup.best):
      pending = pending._replace(snapshot=sharding.replicate(take_snapshot(state)))
    variables, key = averaged(state), jax.random.key(EVAL_SEED)
    if test:
      hyper = scheduled(state, setup.schedules)
      start = setup.passes[setup.watched].start
      pending = pending._replace(test=start(variables, hyper, key, setup.watch_size))
    if cadence.is_due(step, cadence.test):
      self.make_pictures = self.make_pictures or setup.make_pictures()
      pending = pending._replace(pictures=sharding.replicate(self.make_pictures(variables, key)))
    return pending

  def is_test_due(self, step: int) -> bool:
    """Whether a test follows a step. After the last step `final_test` tests the whole split, so a
    smaller test is due only for a validation split, or if a longer run would have it too."""
    cadence = self.setup.cadence
    if step == cadence.steps and self.setup.watched == 'test' and self.setup.partial:
      return cadence.test > 0 and step % cadence.test == 0
    return cadence.is_due(step, cadence.test)

  def poll(self, step: int, sums: Metrics) -> None:
    """Waits for a chunk that ends before a boundary, and shows its metrics."""
    if step > self.row_step:
      metrics = self.mean_metrics(step, sums)
      if self.log:
        self.log.show_progress(step, self.mean_over_members(metrics))

  def finish(self, pending: Pending) -> None:
    """Waits for a boundary, logs its row, and saves its state once it is known to be finite."""
    setup, step, first = self.setup, pending.step, self.row_step + 1
    metrics = self.mean_metrics(step, pending.sums)
    now = time.monotonic()
    rate = {'steps_per_s': (step - self.row_step) / max(now - self.row_time, 1e-9)}
    self.row_step, self.row_time = step, now
    self.write_row('train', [means | rate for means in metrics])
    if self.log:
      self.log.show_progress(step, self.mean_over_members(metrics))
    values = []
    if pending.test is not None:
      self.test_values = self.finish_pass(setup.watched, pending.test)
      values = [passes.flat(v) for v in self.test_values]
      if not setup.members and not any(map(math.isfinite, values[0].values())):
        self.check_finite([{f'test {k}': v for k, v in values[0].items()}], first, step)
      self.write_row(setup.watched, values)
      # Tests are not training: the rates leave out their time.
      waited, self.row_time = time.monotonic() - now, time.monotonic()
      if self.log:
        self.log.exclude(waited)
    if pending.pictures is not None and self.log:
      example, stacked = setup.source.example, bool(setup.members)
      previews.write(self.log, step, pending.pictures, setup.method, example, stacked)
    if pending.snapshot is not None:
      self.save(pending.snapshot, first, values)
    if setup.patience and pending.test is not None and step % setup.patience.every == 0:
      self.tests.append((step, values[0].get(setup.patience.metric, math.nan)))
      self.early = patience.early_end(setup, self.tests, pending.snapshot[0], self.log)

  def finish_pass(self, split: str, pending: passes.Pending) -> list[passes.Values]:
    """Waits for a pass over a split, and logs each eval that cannot be computed, once."""
    values, skipped = self.setup.passes[split].finish(pending)
    for name, line in skipped.items():
      if self.log and name not in self.skipped:
        self.log.print(f'{line} (on {split})')
    self.skipped |= skipped.keys()
    return values

  def mean_metrics(self, step: int, sums: Metrics) -> list[dict[str, float]]:
    """The metrics of the steps since the last row, waited for, averaged and checked."""
    sums, count = jax.device_get(sharding.replicate(sums)), step - self.row_step
    parts = stack.unstack(sums, len(self.setup.members)) if self.setup.members else [sums]
    metrics = [{name: float(value) / count for name, value in part.items()} for part in parts]
    metrics = [over_labelled(values) for values in metrics]
    self.check_finite(metrics, self.row_step + 1, step)
    return metrics

  def active(self, values) -> list:
    """The values of the members that are not frozen, or of the run."""
    return [value for place, value in enumerate(values) if place not in self.frozen]

  def mean_over_members(self, values: list[dict[str, float]]) -> dict[str, float]:
    """Means of the finite values of the members that are not frozen."""
    means, active = {}, self.active(values)
    for name in values[0]:
      numbers = [v for x in active if math.isfinite(v := x.get(name, math.nan))]
      means[name] = sum(numbers) / len(numbers) if numbers else math.nan
    return means

  def write_row(self, split: str, values: list[dict[str, float]], final: bool = False) -> None:
    """Logs a row, or one for each member that is not frozen, at the step of the last row."""
    if not self.log:
      return
    seconds = self.earlier + self.row_time - self.began
    if self.setup.members:
      numbers = [member.number for member in self.active(self.setup.members)]
      rows = dict(zip(numbers, self.active(values), strict=True))
      mean = self.mean_over_members(values)
      self.log.write_members(self.row_step, split, seconds, rows, mean, final)
    else:
      self.log.write_scalars(self.row_step, split, seconds, values[0], final)

  def save(self, snapshot, first: int, values=(), row=None) -> None:
    """Starts saving a snapshot, if it is finite; `first` is the first step since the last row."""
    state, is_finite = snapshot
    step = stack.current_step(state)
    if not is_finite and not self.setup.members:  # each step of a stack is checked on the device
      self.check_finite([{'parameters': math.nan}], first, step)
    if not self.checkpoints:
      return
    if self.all_frozen:  # its step no longer moves, and may have been saved already
      self.checkpoints.wait()
      if step in checkpoint.steps(self.folder):
        return
    self.checkpoints.save(state, values, row)

  def suspend(self, step: int, sums: Metrics, state: State) -> None:
    """Saves a run that a signal ends between two boundaries, with its unfinished row."""
    sums = sharding.replicate(sums)
    self.mean_metrics(step, sums)
    now = time.monotonic()
    row = {
      'since': self.row_step,
      'sums': {name: np.asarray(value).tolist() for name, value in sums.items()},
      'seconds': self.earlier + now - self.began,
      'within': now - self.row_time,
    }
    self.save(sharding.replicate(take_snapshot(state)), self.row_step + 1, row=row)

  def resume(self, step: int, zeros: Metrics) -> Metrics | None:
    """The sums of the unfinished row of a suspended run, None if there is none."""
    row = processes.broadcast(lambda: restore.read_row(self.folder, step))
    if not row or not 0 <= row['since'] < step:
      return None
    sums = {name: np.asarray(value, np.float32) for name, value in row['sums'].items()}
    if jax.tree.map(np.shape, sums) != jax.tree.map(np.shape, dict(zeros)):
      return None
    self.earlier = row['seconds']
    self.row_step, self.row_time = row['since'], self.began - row['within']
    return sums

  def check_finite(self, metrics: list[dict[str, float]], first: int, last: int) -> None:
    """Freezes and logs each member whose metrics of the steps first to last are not finite. Raises
    RunError for a run."""
    setup = self.setup
    unfrozen = {place: values for place, values in enumerate(metrics) if place not in self.frozen}
    reasons = divergence.reasons(setup.method, setup.hyper, unfrozen, first, last)
    if reasons and not setup.members:
      divergence.fail(reasons[0], setup.hyper, self.checkpoints)
    self.frozen |= reasons.keys()
    for place, reason in reasons.items() if self.log else ():
      self.log.print(divergence.freezing(setup.members[place], reason, self.all_frozen))
