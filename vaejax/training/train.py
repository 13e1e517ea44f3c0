"""The one training loop: the device runs chunk after chunk, the host looks at the one before."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from vaejax.core import sharding, stack
from vaejax.core.stack import Member
from vaejax.distributed import beside
from vaejax.distributed.group import ALONE, Alone
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
  layout: sharding.Layout = sharding.ANY_LAYOUT,
  group: Alone = ALONE,
) -> list[dict[str, float]]:
  """Trains the run of a config in a workdir, from its newest checkpoint if it has one; or a stack
  of runs, the members, which differ from it in seed and hyper-parameters alone.

  Returns the values of the whole test split at the last step: the run's alone, or each member's. In
  a group of processes, process 0 alone reads and writes the workdir, and speaks; `data_dir` is each
  one's own.

  Raises:
    UserError: the config, the data or the workdir cannot be used; nothing was created.
    RunError: a loss is not a number, or the disk is full; the last good checkpoint stands.
    Stopped: SIGTERM or SIGINT; a checkpoint was written.
  """
  say = lambda text: group.main and print(text, file=stream, flush=True)
  saved = compare(config, folder, members) if group.main else None
  data_dir = (
    data_dir or group.share(lambda: saved and saved.data_dir) or os.environ.get('TFDS_DATA_DIR')
  )
  setup = group.first(lambda: set_up(config, data_dir, members, layout))
  if group.share(lambda: setup.data) != setup.data:
    raise UserError(f'it finds {describe(setup.data)}, and process 0 other data: give all the same')
  for line in setup.unfit:
    say(line)
  if group.share(lambda: list(setup.evals)) != list(setup.evals):
    raise UserError(f'the evals {", ".join(setup.evals)} fit here, and others on process 0')
  if saved and (saved.data, saved.example) != (setup.data, setup.source.example):
    raise UserError(
      f'{folder} was trained on other data ({describe(saved.data)}; now {describe(setup.data)}): '
      'put that back, give the --data_dir of before, or take another --workdir'
    )
  begun = not group.main or checkpoint.steps(folder)
  taken = None if begun else init_from.take(config, setup, say)
  with workdir.locked(folder) if group.main else contextlib.nullcontext():
    if group.main:
      compare(config, folder, members)  # again: another run may have come and gone
    state = restore.restore(folder, setup.like, say, group=group)
    if state is None:
      state = init_from.first_state(setup, taken, group)
    start = stack.current_step(state)
    if start > config.steps:
      raise UserError(
        f'{folder} is at step {start}, past steps={config.steps}: give steps={start} or more, or '
        'take another --workdir'
      )
    if group.main:
      restore.set_aside(folder, start)
      init = taken.about if taken else saved and saved.init
      run = workdir.SavedRun(config, setup.source.example, setup.data, data_dir, members, init)
      workdir.write_config(folder, run)
    processes = f' of {group.size} processes' if group.size > 1 else ''
    several = f'; {len(members)} members' if members else ''
    say(f'{config.data.name}: {setup.about}; {setup.mesh.size} device(s){processes}{several}')
    if members and not setup.source.resident:
      say('the data is streamed: all members see it in the order of the first')
    if start:
      verb = 'finished' if start == config.steps else 'resuming'
      say(f'{folder}: {verb} at step {start} of {config.steps}')
    images = config.batch_size * max(player.turns for player in setup.method.players)
    images *= max(1, len(members))
    with contextlib.ExitStack() as open_files:
      log, checkpoints, seconds = beside.Log(), beside.Checkpoints(), 0.0
      if group.main:
        log = open_files.enter_context(
          open_log(folder, total=config.steps, images_per_step=images, step=start, stream=stream)
        )
        checkpoints = open_files.enter_context(checkpoint.manage(folder, config.checkpoint))
        seconds = elapsed_before(folder, start)
      settler = Settler(config, folder, setup, log, checkpoints, seconds, state, group)
      return settler.finish(loop(config, setup, state, settler))


def describe(data: dict) -> str:
  """In words: 'mnist/3.0.1 train, 60000 rows; ...'."""
  parts = [split for split in data.values() if isinstance(split, dict)]
  return '; '.join(f'{split.get("read")}, {split.get("rows")} rows' for split in parts)


@contextlib.contextmanager
def signals() -> Iterator[list[int]]:
  """A list that SIGTERM and SIGINT put their numbers into, while it lasts. Beside the main thread,
  which alone can hear them, it stays empty."""
  main = threading.current_thread() is threading.main_thread()
  got, numbers = [], (signal.SIGTERM, signal.SIGINT) if main else ()
  old = [signal.signal(number, lambda number, frame: got.append(number)) for number in numbers]
  try:
    yield got
  finally:
    for number, handler in zip(numbers, old, strict=True):
      signal.signal(number, handler)


def loop(config, setup: Setup, state: State, settler: Settler) -> State:
  """Every step from the state's own to the config's last. Raises Stopped, RunError."""
  program = make_program(config, setup)
  step = seen = start = stack.current_step(state)
  zeros, left, pace = None, None, Pace()
  blocks = contextlib.closing(setup.source.buffers(step, config.steps))
  with signals() as heard, blocks as buffers:
    stop = heard if settler.group.size == 1 else []
    for buffer, available in buffers:
      if zeros is None:
        zeros = program.put(program.chunk.zeros(state, buffer))
        row = settler.resume(step, zeros)
        sums = program.put(row) if row else zeros
      served = step + available
      while step < served and not stop and not settler.over:
        mark = next_stop(config, step)
        length = min(served, mark, step + pace.length) - step
        length, stop = settler.group.agree(length, heard)
        if stop:
          break
        before, (state, sums) = (step, sums), program.run(state, sums, buffer, np.int32(length))
        step += length
        # The device has its next steps: time to wait for those before, and to look at them.
        if left:
          settler.settle(left)
        else:
          settler.glance(*before)
        pace.took(before[0] - seen)
        left, seen = None, before[0]
        if step == mark:
          # Dispatched before the next chunk, because that takes the state's own memory.
          left, sums = settler.start(step, sums, state), zeros
      if stop or settler.over:
        break
    if left:
      settler.settle(left._replace(saved=sharding.replicate(snapshot(state))) if stop else left)
    elif stop and step > start:
      settler.suspend(step, sums, state)
    if settler.over:  # so that its members can be looked at where they were frozen
      settler.save((sharding.replicate(state), True), step, step)
    settler.checkpoints.wait()
  if stop and (step < config.steps or setup.members):  # a sweep has other stacks
    raise Stopped(stop[0], step)
  return state


class Pace:
  """How many steps to dispatch at once: those of about half a second, so that a signal is heeded
  and progress shown soon, however slow a step is."""

  SECONDS = 0.5

  def __init__(self):
    self.length, self.since = 1, time.monotonic()

  def took(self, steps: int) -> None:
    """Tells that so many steps were waited for since it was last told."""
    now = time.monotonic()
    seconds, self.since = now - self.since, now
    if not steps:
      return
    fitting = int(steps * self.SECONDS / max(seconds, 1e-6))
    self.length = max(1, min(fitting, 2 * self.length))
