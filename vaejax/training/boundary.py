"""What the host does with a chunk that the device has finished: log, evaluate, save."""

import contextlib
import math
import time
from pathlib import Path

import jax
import numpy as np

from vaejax.core import passes, sharding, stack
from vaejax.core.step import scheduled
from vaejax.distributed.group import Alone
from vaejax.errors import RunError
from vaejax.evaluation import evaluate
from vaejax.reporting import pictures, report
from vaejax.reporting.log import Log
from vaejax.runs import checkpoint, restore, sweep_files
from vaejax.training.cadence import Left, due, snapshot
from vaejax.types import Metrics, State, averaged

EVAL_SEED = 0


class Settler:
  """The host's side of a run, or of a stack of them. `start` dispatches what a boundary needs,
  `settle` reads it.

  Values of a boundary are a list of {name: value}, one of each member, and of a run its own alone.
  """

  def __init__(
    self,
    config,
    folder: Path,
    setup,
    log: Log,
    checkpoints,
    seconds: float,
    state: State,
    group: Alone,
  ):
    self.config, self.folder, self.setup = config, folder, setup
    self.log, self.checkpoints, self.group = log, checkpoints, group
    self.before, self.began = seconds, time.monotonic()
    self.last = (self.began, stack.current_step(state))
    self.frozen = stack.frozen_members(state)
    self.split = 'validation' if setup.validation else 'test'  # that is tested while training
    self.watched = setup.validation or setup.test
    self.size = min(config.eval.size or self.watched.size, self.watched.size)
    self.watch = self.make_pass(self.watched)
    self.test = self.make_pass(setup.test) if setup.validation else self.watch
    self.found = None
    self.pictures = None  # made when first due: the first step does not wait for test images

  def make_pass(self, source):
    """A pass of all evals over a split."""
    setup, n = self.setup, self.config.eval.batch_size
    stacked = bool(setup.members)
    return passes.make_pass(
      setup.evals, setup.method, source, n, setup.mesh, stacked, setup.ordered
    )

  @property
  def partial(self) -> bool:
    """Whether tests while training are of another split, or of a part, than the last one."""
    return bool(self.setup.validation) or self.size < self.setup.test.size

  def tested(self, step: int) -> bool:
    """Whether a test follows a step; at the end `finish` makes one of its own, beside which another
    is wanted for what is chosen, or where a longer run would have it too."""
    every, steps = self.config.eval.every, self.config.steps
    alone = self.partial and not self.setup.validation
    return due(step, every, 0 if alone else steps)

  def start(self, step: int, sums: Metrics, state: State) -> Left:
    """Dispatches the copy, the test pass and the pictures that are due after `step`."""
    config, setup = self.config, self.setup
    left = Left(step, sums)
    test = self.tested(step)
    # A test that decides which is best is of no use without the checkpoint that it is about.
    if due(step, config.checkpoint.every, config.steps) or (test and config.checkpoint.best):
      left = left._replace(saved=sharding.replicate(snapshot(state)))
    variables, key = averaged(state), jax.random.key(EVAL_SEED)
    if test:
      hyper = scheduled(state, setup.schedules)
      left = left._replace(test=self.watch.start(variables, hyper, key, self.size))
    if not due(step, config.eval.every, config.steps):
      return left
    self.pictures = self.pictures or pictures.make(
      setup.method, self.watched, config.eval.images, bool(setup.members)
    )
    return left._replace(pictures=sharding.replicate(self.pictures(variables, key)))

  def each(self, tree) -> list:
    """What a tree holds of each member; of a run, the tree itself."""
    return stack.unstack(tree, len(self.setup.members)) if self.setup.members else [tree]

  @property
  def over(self) -> bool:
    """Whether all members of a stack are frozen."""
    return 0 < len(self.setup.members) == len(self.frozen)

  def going(self, values: list) -> list:
    """Those of the members that are not frozen."""
    return [value for number, value in enumerate(values) if number not in self.frozen]

  def mean(self, values: list[dict[str, float]]) -> dict[str, float]:
    """The mean over the members that are not frozen, where it is a number."""
    going, means = self.going(values), {}
    for name in values[0]:
      found = [one[name] for one in going if math.isfinite(one.get(name, math.nan))]
      means[name] = sum(found) / len(found) if found else math.nan
    return means

  def means(self, step: int, sums: Metrics) -> list[dict[str, float]]:
    """Waits for the steps since the last row, up to `step`; their metrics, averaged and checked."""
    count = step - self.last[1]
    mean = lambda sums: {name: float(value) / count for name, value in sums.items()}
    values = [mean(one) for one in self.each(jax.device_get(sharding.replicate(sums)))]
    self.check(values, self.last[1] + 1, step)
    return values

  def glance(self, step: int, sums: Metrics) -> None:
    """Waits for a chunk that ends before a boundary, and shows it."""
    if step > self.last[1]:
      self.log.progress(step, self.mean(self.means(step, sums)))

  def row(
    self, step: int, split: str, seconds: float, values: list[dict[str, float]], final=False
  ) -> None:
    """Logs a row, or one of each member that is not frozen; `final`: see Log.scalars."""
    if self.setup.members:
      numbers = [member.number for member in self.going(list(self.setup.members))]
      rows = dict(zip(numbers, self.going(values), strict=True))
      self.log.members(step, split, seconds, rows, self.mean(values), final)
    else:
      self.log.scalars(step, split, seconds, values[0], final)

  def settle(self, left: Left) -> None:
    """Waits for a boundary, logs its row, and saves its state once all of it was seen finite."""
    setup = self.setup
    values = self.means(left.step, left.sums)
    now, (then, step) = time.monotonic(), self.last
    seconds = self.before + now - self.began
    self.last = (now, left.step)
    rate = {'steps_per_s': (left.step - step) / max(now - then, 1e-9)}
    self.row(left.step, 'train', seconds, [one | rate for one in values])
    self.log.progress(left.step, self.mean(values))
    metrics = ()
    if left.test is not None:
      self.found = self.watch.finish(left.test)
      metrics = [passes.flat(one) for one in self.found]
      # A test is not training: it does not count in the rates.
      waited, now = time.monotonic() - now, time.monotonic()
      self.last = (now, left.step)
      self.log.away(waited)
      if not any(math.isfinite(value) for value in metrics[0].values()) and not setup.members:
        self.check([{f'test {k}': v for k, v in metrics[0].items()}], step + 1, left.step)
      self.row(left.step, self.split, seconds, metrics)
    if left.pictures is not None:
      example, stacked = setup.source.example, bool(setup.members)
      pictures.write(self.log, left.step, left.pictures, setup.method, example, stacked)
    if left.saved is not None:
      self.save(left.saved, step + 1, left.step, metrics)

  def save(self, saved, first: int, last: int, metrics=(), row=None) -> None:
    """Saves a `snapshot` after the steps first ... last, if it is finite."""
    state, good = saved
    if not good and not self.setup.members:  # of a stack every step was seen to be
      self.check([{'parameters': math.nan}], first, last)
    if self.over and self.group.main:  # its step stands still, and may have been saved
      self.checkpoints.wait()
      if stack.current_step(state) in checkpoint.steps(self.folder):
        return
    self.checkpoints.save(state, metrics, row)

  def suspend(self, step: int, sums: Metrics, state: State) -> None:
    """Saves a run that a signal ends between two boundaries, with the row that it was in."""
    sums = sharding.replicate(sums)
    self.means(step, sums)
    now, (then, since) = time.monotonic(), self.last
    values = {name: np.asarray(value).tolist() for name, value in sums.items()}
    seconds = self.before + now - self.began
    row = {'since': since, 'sums': values, 'seconds': seconds, 'within': now - then}
    self.save(sharding.replicate(snapshot(state)), since + 1, step, row=row)

  def resume(self, step: int, zeros: Metrics) -> Metrics | None:
    """The sums that the row in which a run was suspended goes on from, None where there is none."""
    row = self.group.share(lambda: restore.read_row(self.folder, step))
    if row:
      row['sums'] = {name: np.asarray(value, np.float32) for name, value in row['sums'].items()}
    shapes = lambda sums: {name: value.shape for name, value in sums.items()}
    if not row or shapes(row['sums']) != shapes(zeros) or not 0 <= row['since'] < step:
      return None
    self.before, self.last = row['seconds'], (self.began - row['within'], row['since'])
    return row['sums']

  def check(self, values: list[dict[str, float]], first: int, last: int) -> None:
    """Looks for metrics of the steps first ... last that are no number. A member of a stack is
    frozen for it, and said to be; raises RunError for a run."""
    found = {}
    for number, one in enumerate(values):
      bad = [name for name, value in one.items() if not math.isfinite(value)]
      if not bad or number in self.frozen:
        continue
      bad = [name for name in bad if name not in self.config.hyper] or bad
      players = [p.name for p in self.setup.method.players]
      blamed = [p for p in players if f'loss_{p}' in bad] or players
      what = (
        f'{", ".join(bad)} of the player {", ".join(blamed)} became {one[bad[0]]} in steps {first} '
        f'to {last}'
      )
      if not self.setup.members:
        self.fail(f'{what} ({given(self.config.hyper)})')
      found[number] = what
    self.frozen |= found.keys()
    for number, what in found.items():
      member = self.setup.members[number]
      self.log.say(
        f'member {member.number} (seed={member.seed}, {given(member.hyper)}): {what}; it is frozen '
        f'where it was before, {"as all are now" if self.over else "the others go on"}'
      )

  def fail(self, what: str):
    """Raises RunError."""
    with contextlib.suppress(RunError):  # a full disk is not what the run ends of
      self.checkpoints.wait()
    raise RunError(
      f'{what}: {self.checkpoints.standing()}; try a smaller hyper.lr, or optimizer.clip=1, in '
      'another --workdir'
    )

  def finish(self, state: State) -> list[dict[str, tuple]]:
    """The values of the whole test split, logged and recorded, and the report."""
    step, steps, group = stack.current_step(state), sharding.replicate(state.step), self.group
    watched = None if self.over else self.found
    if self.setup.validation and watched is None:
      watched = self.run(self.watch, state, self.size)
    values = watched if watched and not self.partial else self.run(self.test, state)
    if not group.main:
      return values
    ema = state.ema is not None
    if self.partial or self.found is None:
      seconds = self.before + self.last[0] - self.began
      self.row(step, 'test', seconds, [passes.flat(one) for one in values], final=True)
    if self.setup.members:
      self.record_stack(steps, values, watched, self.protocols('test', step, ema))
      return values
    if self.setup.validation:
      evaluate.record(self.folder, watched[0], self.protocols('validation', step, ema, self.size))
    evaluate.record(self.folder, values[0], self.protocols('test', step, ema))
    report.write_report(self.folder)
    return values

  def run(self, one: passes.Pass, state: State, limit: int = 0) -> list[passes.Values]:
    """A pass that is waited for; it may take minutes, and says how far it has come."""
    hyper, key = scheduled(state, self.setup.schedules), jax.random.key(EVAL_SEED)
    show = evaluate.progress('test', self.log.say)
    return one.finish(one.start(averaged(state), hyper, key, limit, show))

  def protocols(self, split: str, step: int, ema: bool, n: int = 0) -> dict[str, dict]:
    """The protocol of each eval's values of a split, or of its first n examples."""
    about = split, self.setup.data[split] | ({'rows': n} if n else {})
    about += EVAL_SEED, step, ema
    return {k: evaluate.protocol(self.config, e, *about) for k, e in self.setup.evals.items()}

  def record_stack(self, steps, values, watched, protocols) -> None:
    """Records the values of a stack, with that of the validation split by which it is ordered."""
    flats = [passes.flat(one) for one in values]
    if best := self.config.checkpoint.best.lstrip('-'):
      for found, other in zip(flats, watched, strict=True):
        found[f'validation/{best}'] = passes.flat(other).get(best, math.nan)
    sweep_files.write_results(self.folder, self.setup.members, steps, flats, protocols)


def given(hyper) -> str:
  """Hyper-parameters in words."""
  return ', '.join(f'{name}={value:g}' for name, value in hyper.items())
