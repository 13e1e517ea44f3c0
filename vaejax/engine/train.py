"""The one training loop: the device runs chunk after chunk, the host looks at the one before."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from vaejax import configuration
from vaejax.data import load
from vaejax.engine import checkpoint, optim, shard, workdir
from vaejax.engine.log import elapsed_before, open_log
from vaejax.engine.settle import Settler, next_stop
from vaejax.engine.step import make_chunk, make_step
from vaejax.errors import UserError
from vaejax.types import Method, Source, State


class Stopped(Exception):
  """A signal ended the run, which can go on from there; `number` is the signal's."""

  def __init__(self, number: int, step: int):
    name = signal.Signals(number).name
    super().__init__(f'stopped by {name} at step {step}: the same command goes on from there')
    self.number = number


class Setup(NamedTuple):
  """All that a run needs, built and checked before anything is written."""

  method: Method
  source: Source
  test: Source
  mesh: jax.sharding.Mesh
  schedules: dict
  like: dict  # the state's shapes and shardings, as checkpoint.restore takes them


def set_up(config, data_dir: str | None) -> Setup:
  """Data, method and mesh of a config. Raises UserError, having written nothing."""
  mesh = shard.mesh(config.batch_size // config.optimizer.accumulate)
  put = shard.put(mesh)
  rows, test_rows = (load.table(config.data, split, data_dir) for split in ('train', 'test'))
  test = load.test(config.data, test_rows, put)
  method = workdir.make_method(config, load.example(config.data, rows))
  turns = max(player.turns for player in method.players)
  source = load.train(config.data, rows, config.batch_size * turns, config.seed, put)
  create = lambda: workdir.initial(method, config, source.example)
  return Setup(
    method,
    source,
    test,
    mesh,
    optim.schedules(config.schedule, config.steps),
    checkpoint.abstract(create, shard.replicated(mesh)),
  )


def train(config, folder: Path, data_dir: str | None = None, stream=None) -> dict[str, float]:
  """Trains the run of a config in a workdir, from its newest checkpoint if it has one.

  Returns the values of the whole test split at the last step.

  Raises:
    UserError: the config, the data or the workdir cannot be used; nothing was created.
    RunError: a loss is not a number, or the disk is full; the last good checkpoint stands.
    Stopped: SIGTERM or SIGINT; a checkpoint was written.
  """
  if (folder / 'config.json').exists():
    compare(workdir.read_config(folder)[0], config, folder)
  elif folder.exists() and any(path.name != '.lock' for path in folder.iterdir()):
    raise UserError(f'{folder} is not empty and holds no run: take another --workdir')
  setup = set_up(config, data_dir)
  say = lambda text: print(text, file=stream, flush=True)
  with workdir.locked(folder), signals() as stop:
    state = checkpoint.restore(folder, setup.like, say)
    if state is None:
      create = lambda: workdir.initial(setup.method, config, setup.source.example)
      state = jax.jit(create, out_shardings=shard.replicated(setup.mesh))()
    start = int(state.step)
    checkpoint.set_aside(folder, start)
    workdir.write_config(folder, config, setup.source.example, data_dir)
    say(f'{config.data.name}: {load.describe(setup.source)}; {setup.mesh.size} device(s)')
    if start:
      verb = 'finished' if start >= config.steps else 'resuming'
      say(f'{folder}: {verb} at step {start} of {config.steps}')
    with (
      open_log(
        folder, total=config.steps, images_per_step=config.batch_size, step=start, stream=stream
      ) as log,
      checkpoint.manage(folder, config.checkpoint) as manager,
    ):
      seconds = elapsed_before(folder, start)
      settler = Settler(config, folder, setup, log, manager, seconds, start)
      return settler.finish(loop(config, setup, state, settler, stop))


def compare(old, new, folder: Path) -> None:
  """Raises UserError where a workdir belongs to another config."""
  found = configuration.differences(old, new)
  if found:
    raise UserError(
      f'{folder} holds a run of another config ({"; ".join(found)}): give the same values, or take '
      'another --workdir'
    )


@contextlib.contextmanager
def signals() -> Iterator[list[int]]:
  """A list that SIGTERM or SIGINT puts its number into; a second one acts as it always does."""
  got, numbers = [], (signal.SIGTERM, signal.SIGINT)

  def remember(number, frame):
    got.append(number)
    signal.signal(number, old[number])

  old = {number: signal.signal(number, remember) for number in numbers}
  try:
    yield got
  finally:
    for number, handler in old.items():
      signal.signal(number, handler)


def loop(config, setup: Setup, state: State, settler: Settler, stop: list[int]) -> State:
  """Every step from the state's own to the config's last. Raises Stopped, RunError."""
  optimizer = config.optimizer
  step_fn = make_step(setup.method, setup.schedules, optimizer.ema, optimizer.accumulate)
  draw = shard.split(setup.mesh, setup.source.draw)
  chunk = jax.jit(make_chunk(step_fn, draw), donate_argnums=0)
  step, left = int(state.step), None
  for buffer, available in setup.source.buffers(step, config.steps):
    served = step + available
    while step < served and not stop:
      target = min(served, next_stop(config, step))
      state, metrics = chunk(state, buffer, np.int32(target - step))
      step = target
      # Dispatched before the next chunk, because that takes the state's own memory.
      before, left = left, settler.start(step, metrics, state)
      if before:
        settler.settle(before)
    if stop:
      break
  if left:
    settler.settle(left._replace(state=state) if stop else left)
  if stop and step < config.steps:
    raise Stopped(stop[0], step)
  return state
