"""The one training loop: the device runs chunk after chunk, the host looks at the one before."""

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax import configuration
from vaejax.data import load
from vaejax.data.table import Table
from vaejax.engine import checkpoint, optim, shard, workdir
from vaejax.engine.log import elapsed_before, open_log
from vaejax.engine.settle import Settler, next_stop, snapshot
from vaejax.engine.step import make_chunk, make_step
from vaejax.errors import UserError
from vaejax.lookup import lookup, nearest
from vaejax.types import Example, Method, Source, State, zeros


class Stopped(Exception):
  """A signal ended the run, which can go on from there; `number` is the signal's."""

  def __init__(self, number: int, step: int):
    name = signal.Signals(number).name
    super().__init__(f'stopped by {name} at step {step}: the same command goes on from there')
    self.number = number


class Setup(NamedTuple):
  """All that a run needs, built and checked before anything is written."""

  method: Method
  rows: Table
  source: Source
  test: Source
  mesh: jax.sharding.Mesh
  schedules: dict
  like: dict  # the state's shapes and shardings, as checkpoint.restore takes them


def set_up(config, data_dir: str | None) -> Setup:
  """Data, method and mesh of a config. Raises UserError, having written nothing."""
  # What needs no data comes first: a mistake there is told before a dataset is prepared.
  lookup('methods', config.method)
  optim.make(config.optimizer)
  schedules = optim.schedules(config.schedule, config.steps)
  mesh = shard.mesh(config.batch_size // config.optimizer.accumulate)
  put = shard.put(mesh)
  rows, test_rows = (load.table(config.data, split, data_dir) for split in ('train', 'test'))
  test = load.test(config.data, test_rows, put)
  method = workdir.make_method(config, load.example(config.data, rows))
  turns = max(player.turns for player in method.players)
  source = load.train(config.data, rows, config.batch_size * turns, config.seed, put)
  if config.steps * config.batch_size * turns >= 2**32:
    raise UserError(
      f'steps={config.steps} of {config.batch_size * turns} examples are more than the {2**32:,} '
      'that the order of examples counts: take fewer steps, or a smaller batch_size'
    )
  create = lambda: workdir.initial(method, config, source.example)
  like = checkpoint.abstract(create, shard.replicated(mesh))
  best, known = (
    config.checkpoint.best.lstrip('-'),
    metric_names(config, method, source.example, like),
  )
  if best and best not in known:
    raise UserError(
      f'checkpoint.best={best!r} is not a test metric{nearest(best, known)}: there are '
      f'{", ".join(known)}, with - before one where smaller is better'
    )
  return Setup(method, rows, source, test, mesh, schedules, like)


def metric_names(config, method: Method, example: Example, like: dict) -> list[str]:
  """What a test pass gives, by name; it is traced and not run."""
  elbo = lookup('evals', 'elbo').make(method, config)

  def stats(variables, hyper):
    batch = {**zeros(example, 1), 'mask': jnp.ones(1)}
    return elbo.stats(variables, batch, jax.random.key(0), hyper)

  sums = jax.eval_shape(stats, like['variables'], like['hyper'])
  return list(elbo.finish(jax.tree.map(lambda s: np.ones(s.shape, s.dtype), sums)))


def train(config, folder: Path, data_dir: str | None = None, stream=None) -> dict[str, float]:
  """Trains the run of a config in a workdir, from its newest checkpoint if it has one.

  Returns the values of the whole test split at the last step.

  Raises:
    UserError: the config, the data or the workdir cannot be used; nothing was created.
    RunError: a loss is not a number, or the disk is full; the last good checkpoint stands.
    Stopped: SIGTERM or SIGINT; a checkpoint was written.
  """
  say = lambda text: print(text, file=stream, flush=True)
  saved_dir = compare(config, folder)
  data_dir = data_dir or saved_dir
  resumed = (folder / 'config.json').exists()
  with workdir.distrusting(folder) if resumed else contextlib.nullcontext():
    setup = set_up(config, data_dir)
  with workdir.locked(folder):
    compare(config, folder)  # again: another run may have come and gone
    state = checkpoint.restore(folder, setup.like, say)
    if state is None:
      create = lambda: workdir.initial(setup.method, config, setup.source.example)
      state = jax.jit(create, out_shardings=shard.replicated(setup.mesh))()
    start = int(state.step)
    if start > config.steps:
      raise UserError(f'{folder} is at step {start}, past steps={config.steps}')
    checkpoint.set_aside(folder, start)
    workdir.write_config(folder, config, setup.source.example, data_dir)
    about = load.describe(setup.rows, setup.source.resident)
    say(f'{config.data.name}: {about}; {setup.mesh.size} device(s)')
    if start:
      verb = 'finished' if start == config.steps else 'resuming'
      say(f'{folder}: {verb} at step {start} of {config.steps}')
    with (
      open_log(
        folder, total=config.steps, images_per_step=config.batch_size, step=start, stream=stream
      ) as log,
      checkpoint.manage(folder, config.checkpoint) as checkpoints,
    ):
      seconds = elapsed_before(folder, start)
      settler = Settler(config, folder, setup, log, checkpoints, seconds, start)
      return settler.finish(loop(config, setup, state, settler))


def compare(config, folder: Path) -> str | None:
  """The data_dir that a workdir's run remembers, None where there is no run.

  Raises UserError where the workdir cannot be this config's.
  """
  if folder.exists() and not folder.is_dir():
    raise UserError(f'{folder} is not a folder: take another --workdir')
  if not (folder / 'config.json').exists():
    # A run that was killed as it began leaves hidden files alone.
    if folder.exists() and any(not path.name.startswith('.') for path in folder.iterdir()):
      raise UserError(f'{folder} is not empty and holds no run: take another --workdir')
    return None
  old, _, data_dir = workdir.read_config(folder)
  found = configuration.differences(old, config)
  if found:
    raise UserError(
      f'{folder} holds a run of another config ({"; ".join(found)}): give the same values, or take '
      'another --workdir'
    )
  return data_dir


@contextlib.contextmanager
def signals() -> Iterator[list[int]]:
  """A list that SIGTERM and SIGINT put their numbers into, while it lasts."""
  got, numbers = [], (signal.SIGTERM, signal.SIGINT)
  old = [signal.signal(number, lambda number, frame: got.append(number)) for number in numbers]
  try:
    yield got
  finally:
    for number, handler in zip(numbers, old, strict=True):
      signal.signal(number, handler)


def loop(config, setup: Setup, state: State, settler: Settler) -> State:
  """Every step from the state's own to the config's last. Raises Stopped, RunError."""
  optimizer = config.optimizer
  step_fn = make_step(setup.method, setup.schedules, optimizer.ema, optimizer.accumulate)
  draw = shard.split(setup.mesh, setup.source.draw)
  chunk = jax.jit(make_chunk(step_fn, draw), donate_argnums=0)
  step, left = int(state.step), None
  blocks = contextlib.closing(setup.source.buffers(step, config.steps))
  with signals() as stop, blocks as buffers:
    for buffer, available in buffers:
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
      settler.settle(left._replace(saved=snapshot(state)) if stop else left)
    settler.checkpoints.wait()
  if stop and step < config.steps:
    raise Stopped(stop[0], step)
  return state
