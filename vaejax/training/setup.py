"""All that a run needs, built and checked before anything is written."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np

from vaejax.core import factory, optim, sharding
from vaejax.core.stack import Member
from vaejax.core.step import Chunk, make_chunk, make_step, make_sweep
from vaejax.data import load
from vaejax.errors import UserError
from vaejax.evaluation import evaluate
from vaejax.lookup import lookup, nearest
from vaejax.runs import checkpoint, workdir
from vaejax.types import Eval, Method, Source, State


class Setup(NamedTuple):
  """All that a run needs, built and checked before anything is written."""

  method: Method
  about: str  # one line on the training data
  data: dict  # what was read, as config.json has it
  source: Source
  test: Source
  validation: Source | None  # what is chosen goes by it alone
  ordered: Source | None  # the training split in its order, where an eval looks at it
  evals: dict[str, Eval]
  unfit: list[str]  # a line on each eval that does not fit
  mesh: jax.sharding.Mesh
  schedules: dict
  members: tuple[Member, ...]  # of a stack of runs; none: of one run
  create: Callable[..., State]  # the first state, of the variables taken from another run; pure
  spread: State  # the sharding of each of its leaves
  like: dict  # shapes and shardings of what is saved, as restoring.restore takes them


def set_up(
  config,
  data_dir: str | None,
  members: tuple[Member, ...] = (),
  layout: sharding.Layout = sharding.ANY_LAYOUT,
) -> Setup:
  """Data, method and mesh of a config. Raises UserError, having written nothing."""
  # What needs no data comes first: a mistake there is told before a dataset is prepared.
  lookup('methods', config.method)
  optim.make(config.optimizer)
  schedules = optim.schedules(config.schedule, config.steps)
  mesh = sharding.make_mesh(microbatch(config), members=max(1, len(members)), layout=layout)
  put = sharding.MeshPlacement(mesh)
  splits = load.splits(config.data, data_dir)
  rows = splits.train
  sources = {s: t and load.test(config.data, t, put) for s, t in splits._asdict().items()}
  method = factory.make_method(config, load.example(config.data, rows))
  turns = max(player.turns for player in method.players)
  source = load.train(config.data, rows, config.batch_size * turns, config.seed, put)
  most = max(config.batch_size * turns, config.data.get('labelled_batch', 0))
  if config.steps * most >= 2**32:
    raise UserError(
      f'steps={config.steps} of {most} examples are more than the {2**32:,} '
      'that the order of examples counts: take fewer steps, or a smaller batch_size'
    )
  create = lambda taken=None: factory.initial_state(method, config, source.example, members, taken)
  place = sharding.state_sharding(mesh, bool(members), layout.fsdp)
  spread, like = (
    jax.tree.map(place, jax.eval_shape(create)),
    checkpoint.abstract_state(create, place),
  )
  evals, unfit = evaluate.make_evals(config, method, source.example)
  check_best(config, evals, unfit, splits.validation is not None)
  data = {split: workdir.provenance(table) for split, table in splits._asdict().items() if table}
  return Setup(
    method=method,
    about=load.describe(rows, source.resident),
    data=data,
    source=source,
    test=sources['test'],
    validation=sources['validation'],
    ordered=sources['train'] if any('train' in e.extract for e in evals.values()) else None,
    evals=evals,
    unfit=unfit,
    mesh=mesh,
    schedules=schedules,
    members=members,
    create=create,
    spread=spread,
    like=like,
  )


def check_best(config, evals: dict[str, Eval], unfit: list[str], validates: bool) -> None:
  """Raises UserError where `checkpoint.best` is no value of the evals, or would be chosen by the
  test split."""
  best = config.checkpoint.best.lstrip('-')
  if not best:
    return
  known = [name for e in evals.values() for name in e.names()]
  if best not in known:
    raise UserError(
      f'checkpoint.best={best!r} is not a test metric{nearest(best, known)}: there are '
      f'{", ".join(known)}, with - before one where smaller is better'
      + ''.join(f'; {line}' for line in unfit)
    )
  if not validates:
    raise UserError(
      f'checkpoint.best={config.checkpoint.best!r} is chosen by a validation split, which '
      f'{config.data.name} has not: hold rows out of train by data.validation=0.1, or leave '
      'checkpoint.best empty'
    )


def microbatch(config) -> int:
  """Of how many examples the parts are that are worked through at once, which 'data' divides."""
  together = math.gcd(config.batch_size, config.data.get('labelled_batch', 0))
  return together // config.optimizer.accumulate


class Program(NamedTuple):
  """A chunk of a run's steps over the mesh: `run` takes the memory of the state that it is given,
  `put` places sums of metrics as `run` gives them."""

  chunk: Chunk
  run: Callable
  put: Callable


def make_program(config, setup: Setup) -> Program:
  """The program of a run, or of a stack."""
  optimizer, stacked = config.optimizer, bool(setup.members)
  step = make_step(setup.method, setup.schedules, optimizer.ema, optimizer.accumulate)
  draw = None
  if stacked:
    step, draw = make_sweep(step, setup.source.draw)
  draw = sharding.shard_draw(setup.mesh, setup.source, draw)
  chunk = make_chunk(sharding.shard_step(setup.mesh, step), draw)
  sums = sharding.member_sharding(setup.mesh, stacked)
  run = jax.jit(chunk.run, donate_argnums=0, out_shardings=(setup.spread, sums))
  return Program(chunk, run, lambda tree: sharding.put_global(tree, sums))


def compiled(config, setup: Setup):
  """The compiled program of a run, of which nothing is run, to be asked what it takes."""
  program = make_program(config, setup)
  buffer, _ = next(iter(setup.source.buffers(0, 1)))
  state = jax.eval_shape(setup.create)
  zeros = program.put(program.chunk.zeros(state, buffer))
  place = lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
  state = jax.tree.map(place, state, setup.spread)
  return program.run.lower(state, zeros, buffer, np.int32(1)).compile()
