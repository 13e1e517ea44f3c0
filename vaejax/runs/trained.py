"""A trained run, or one member of a sweep, opened to sample from and to evaluate."""

from pathlib import Path
from typing import Any, NamedTuple

import jax

from vaejax.core import stack
from vaejax.core.factory import initial_state, make_method
from vaejax.data import load
from vaejax.data.table import Table
from vaejax.errors import UserError
from vaejax.runs import checkpoint, restore
from vaejax.runs.sweep_files import configured, is_sweep, parse_member, place_of, stack_of
from vaejax.runs.workdir import read_config
from vaejax.types import Example, Method, Source, State


class TrainedRun(NamedTuple):
  """A run as it was left, without its optimizers.

  Attributes:
    folder: where what is made of it goes: the workdir, or the member's own folder in a sweep's.
  """

  folder: Path
  config: Any
  example: Example
  data_dir: str | None
  method: Method
  state: State


def open_run(
  workdir: Path, say, which: str = 'latest', sharding=None, member: int | None = None
) -> TrainedRun:
  """A run, or a member of a sweep, at its newest checkpoint that can be read, at its 'best', or at
  a step, by default on the first device. Raises UserError."""
  workdir, member = (workdir, member) if member is not None else parse_member(workdir)
  folder = workdir if member is None and not is_sweep(workdir) else stack_of(workdir, member)
  saved = read_config(folder)
  config, example, members = saved.config, saved.example, saved.members
  method = make_method(config, example)
  create = lambda: initial_state(method, config, example, members)
  like, place = checkpoint.abstract_state(create, opt=False), place_of(folder, saved, member)
  chosen = restore.select_step(folder, which, config.checkpoint.best, place)
  tree = restore.newest(folder, like, say, chosen)
  if tree is None:
    raise UserError(f'{workdir} has no checkpoint yet: train it first')
  state = checkpoint.decode(tree)
  if members:
    # In the host's memory still: a stack may fill more devices than there are here.
    frozen = place in stack.frozen_members(state)
    config, state = configured(config, members[place]), stack.member_state(state, place)
    if frozen:
      say(f'member {member} was frozen at step {int(state.step)}, after which it was no number')
    workdir = workdir / 'members' / str(member)
  sharding = sharding or jax.sharding.SingleDeviceSharding(jax.devices()[0])
  return TrainedRun(
    workdir, config, example, saved.data_dir, method, jax.device_put(state, sharding)
  )


def open_split(run: TrainedRun, split: str, data_dir: str | None, put=None) -> tuple[Table, Source]:
  """A split of a run's dataset, its rows and a source of them in order. Raises UserError."""
  rows = load.table(run.config.data, split, data_dir or run.data_dir)
  source = load.test(run.config.data, rows, put)
  if source.example != run.example:
    shapes = (e.fields[e.data].shape for e in (source.example, run.example))
    now, then = (f'{shape}' for shape in shapes)
    raise UserError(
      f'{run.config.data.name} now has {source.example.data}s of {now}, the run was trained on '
      f'{then}: give the data it was trained on'
    )
  return rows, source
