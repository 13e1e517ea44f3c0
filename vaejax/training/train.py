"""The one training loop: the device runs chunk after chunk, the host looks at the one before."""

import contextlib
import math
import os
import signal
import time
from pathlib import Path

import jax
import numpy as np

from vaejax.core import sharding, stack
from vaejax.core.stack import Member
from vaejax.distributed import processes
from vaejax.errors import UserError
from vaejax.reporting.log import elapsed_before, open_log
from vaejax.runs import checkpoint, init_from, restore, workdir
from vaejax.runs.resume import compare
from vaejax.training.boundary import Settler
from vaejax.training.cadence import next_stop, snapshot
from vaejax.training.setup import Setup, make_program, set_up
from vaejax.types import State


class Stopped(Exception):
  """A signal ended the run, which can go on from there; `number` is the signal's."""

  def __init__(self, number: int, step: int):
    name = signal.Signals(number).name
    super().__init__(f'stopped by {name} at step {step}: the same command goes on from there')
    self.number = number


def train(
  config,
  folder: Path,
  data_dir: str | None = None,
  stream=None,
  members: tuple[Member, ...] = (),
  layout: sharding.Layout = sharding.ANY,
) -> list[dict[str, float]]:
  """Trains the run of a config in a workdir, from its newest checkpoint if it has one; or a stack
  of runs, the members, which differ from it in seed and hyper-parameters alone.

  Returns the values of the whole test split at the last step: the run's alone, or each member's. Of
  several processes, process 0 alone reads and writes the workdir, and prints; `data_dir` is each
  one's own.

  Raises:
    UserError: the config, the data or the workdir cannot be used; nothing was created.
    RunError: a loss is not a number, or the disk is full; the last good checkpoint stands.
    Stopped: a signal ended it (see processes.stop_signals); a checkpoint was written.
  """
  say = lambda text: processes.is_main() and print(text, file=stream, flush=True)
  saved = processes.on_main(lambda: compare(config, folder, members))
  before = processes.broadcast(lambda: saved and saved.data_dir)
  data_dir = data_dir or before or os.environ.get('TFDS_DATA_DIR')
  setup = processes.first(lambda: set_up(config, data_dir, members, layout))
  if processes.broadcast(lambda: setup.data) != setup.data:
    raise UserError(f'it finds {describe(setup.data)}, and process 0 other data: give all the same')
  for line in setup.unfit:
    say(line)
  if processes.broadcast(lambda: list(setup.evals)) != list(setup.evals):
    raise UserError(f'the evals {", ".join(setup.evals)} fit here, and others on process 0')

  def begin():
    """What a new run takes from another one."""
    if saved and (saved.data, saved.example) != (setup.data, setup.source.example):
      raise UserError(
        f'{folder} was trained on other data ({describe(saved.data)}; now {describe(setup.data)}): '
        'put that back, give the --data_dir of before, or take another --workdir'
      )
    return None if checkpoint.steps(folder) else init_from.take(config, setup, say)

  taken = processes.on_main(begin)
  with contextlib.ExitStack() as open_files:

    def lock():
      open_files.enter_context(workdir.locked(folder))
      compare(config, folder, members)  # again: another run may have come and gone

    processes.on_main(lock)
    state = restore.restore(folder, setup.like, say)
    if state is None:
      state = init_from.first_state(setup, taken)
    start = stack.front(state)
    if start > config.steps:
      raise UserError(
        f'{folder} is at step {start}, past steps={config.steps}: give steps={start} or more, or '
        'take another --workdir'
      )
    if processes.is_main():
      restore.set_aside(folder, start)
      init = taken.about if taken else saved and saved.init
      run = workdir.Saved(config, setup.source.example, setup.data, data_dir, members, init)
      workdir.write_config(folder, run)
    several = f' of {processes.count()} processes' if processes.count() > 1 else ''
    several += f'; {len(members)} members' if members else ''
    say(f'{config.data.name}: {setup.about}; {setup.mesh.size} device(s){several}')
    if members and not setup.source.resident:
      say('the data is streamed: all members see it in the order of the first')
    if start:
      verb = 'finished' if start == config.steps else 'resuming'
      say(f'{folder}: {verb} at step {start} of {config.steps}')
    images = config.batch_size * max(player.turns for player in setup.method.players)
    images *= max(1, len(members))
    log, checkpoints, seconds = None, None, 0.0
    if processes.is_main():
      log = open_files.enter_context(
        open_log(folder, total=config.steps, images_per_step=images, step=start, stream=stream)
      )
      checkpoints = open_files.enter_context(checkpoint.manage(folder, config.checkpoint))
      seconds = elapsed_before(folder, start)
    settler = Settler(config, folder, setup, log, checkpoints, seconds, state)
    return settler.finish(loop(config, setup, state, settler))


def describe(data: dict) -> str:
  """In words: 'mnist/3.0.1 train, 60000 rows; ...'."""
  parts = [split for split in data.values() if isinstance(split, dict)]
  return '; '.join(f'{split.get("read")}, {split.get("rows")} rows' for split in parts)


def loop(config, setup: Setup, state: State, settler: Settler) -> State:
  """Every step from the state's own to the config's last. Raises Stopped, RunError."""
  program = make_program(config, setup)
  step = start = stack.front(state)
  zeros, left, pace = None, None, Pace()
  blocks = contextlib.closing(setup.source.buffers(step, config.steps))
  stop = 0
  with processes.stop_signals() as stop_signal, blocks as buffers:
    for buffer, available in buffers:
      if zeros is None:
        zeros = program.put(program.chunk.zeros(state, buffer))
        row = settler.resume(step, zeros)
        sums = program.put(row) if row else zeros
      served = step + available
      while step < served and not settler.over:
        if stop := stop_signal():
          break
        mark = next_stop(config, step)
        length = min(served, mark, step + pace.next()) - step
        began = time.monotonic()
        before, (state, sums) = (step, sums), program.run(state, sums, buffer, np.int32(length))
        step += length
        if pace.warming_up:
          jax.block_until_ready(sums)
          pace.record(length, time.monotonic() - began)
        # The device has its next steps: time to wait for those before, and to look at them.
        if left:
          settler.settle(left)
        else:
          settler.glance(*before)
        left = None
        if step == mark:
          # Dispatched before the next chunk, because that takes the state's own memory.
          left, sums = settler.start(step, sums, state), zeros
      if stop or settler.over:
        break
    stop = stop or stop_signal()  # one that came since the last chunk
    if left:
      settler.settle(left._replace(saved=sharding.whole(snapshot(state))) if stop else left)
    elif stop and step > start:
      settler.suspend(step, sums, state)
    if settler.over:  # so that its members can be looked at where they were frozen
      settler.save((sharding.whole(state), True), step, step)
    processes.on_main(lambda: settler.checkpoints.wait())
  if stop and (step < config.steps or setup.members):  # a sweep has other stacks
    raise Stopped(stop, step)
  return state


class Pace:
  """Steps of a chunk: those of half a second, so that a signal is heeded and progress shows soon,
  however slow a step is.

  All processes have to dispatch the same chunks. Process 0 measures the first few of them and
  decides, and then the length stays, so that nothing is asked between later steps.
  """

  SECONDS, WARM_UP = 0.5, 12

  def __init__(self):
    self.length, self.chunks, self.step_seconds = 1, 0, math.inf

  @property
  def warming_up(self) -> bool:
    """Whether the length is not settled, for which chunks are measured."""
    return self.chunks < self.WARM_UP

  def next(self) -> int:
    """Steps of the next chunk, at most; the same on all processes."""
    if self.warming_up and self.chunks:
      fitting = max(1, int(min(self.SECONDS / self.step_seconds, 2 * self.length)))
      self.length = processes.broadcast(lambda: fitting)
    return self.length

  def record(self, steps: int, seconds: float) -> None:
    """Takes in how long a chunk took. The fastest counts: others compiled, or were disturbed."""
    self.chunks += 1
    self.step_seconds = min(self.step_seconds, seconds / steps)
