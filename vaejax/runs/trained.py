"""A trained run, or one member of a sweep, opened to be sampled and evaluated."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.core import stack
from vaejax.core.factory import initial_state, make_method
from vaejax.core.stack import Member
from vaejax.data import sources, splits
from vaejax.data.source import Source
from vaejax.data.table import Table
from vaejax.errors import UserError
from vaejax.runs import checkpoint, restore, same_data
from vaejax.runs.sweep_files import (
  is_sweep,
  member_config,
  parse_member,
  place_of,
  read_results,
  stack_folder,
  stack_of,
)
from vaejax.runs.workdir import check_name, provenance, read_config
from vaejax.types import Example, Method, State


class TrainedRun(NamedTuple):
  """A run at one of its checkpoints, without its optimizers.

  Attributes:
    folder: for outputs: the workdir, or SWEEP/members/K of a member.
    data: {split: its provenance} of the rows that it was trained on.
    members: of a stack of runs, whose state has a leading axis of them; () for a run.
  """

  folder: Path
  config: Any
  example: Example
  data_dir: str | None
  method: Method
  state: State
  data: dict
  members: tuple[Member, ...] = ()


def open_run(
  workdir: Path,
  log: Callable[[str], None],
  which: str = 'latest',
  sharding=None,
  member: int | None = None,
) -> TrainedRun:
  """A run, or a member of a sweep, at its 'latest' readable checkpoint, its 'best', or at a step.

  The state is on the first device unless a sharding is given. Raises UserError.
  """
  check_name(workdir)
  workdir, member = (workdir, member) if member is not None else parse_member(workdir)
  folder = workdir if member is None and not is_sweep(workdir) else stack_of(workdir, member)
  saved = read_config(folder)
  config, example, members = saved.config, saved.example, saved.members
  method = make_method(config, example)
  create = lambda: initial_state(method, config, example, members)
  abstract, place = checkpoint.abstract_state(create, opt=False), place_of(folder, saved, member)
  only = restore.select_step(folder, which, config.checkpoint.best, place)
  tree = restore.newest(folder, abstract, log, only)
  if tree is None:
    raise UserError(f'{workdir} has no checkpoint yet. Train it first')
  state = checkpoint.decode(tree)
  if members:
    # Still in the host's memory: a stack may need more devices than there are here.
    frozen = place in stack.frozen_members(state)
    config, state = member_config(config, members[place]), stack.member_state(state, place)
    if frozen:
      log(f'member {member} was frozen at step {int(state.step)}, before it became non-finite')
    workdir = workdir / 'members' / str(member)
  sharding = sharding or jax.sharding.SingleDeviceSharding(jax.devices()[0])
  return TrainedRun(
    workdir, config, example, saved.data_dir, method, jax.device_put(state, sharding), saved.data
  )


def open_stack(
  workdir: Path, number: int, log: Callable[[str], None], which: str = 'latest'
) -> TrainedRun:
  """A stack of a sweep without its frozen members, each at checkpoint `which`.

  The state is on the first device, None if all members are frozen. Raises UserError like
  `open_run`.
  """
  check_name(workdir)
  folder = stack_folder(workdir, number)
  if not (folder / 'config.json').exists():
    raise UserError(f'{workdir}: stack {number} is not trained yet. Resume the sweep first')
  saved, results = read_config(folder), read_results(folder)
  config, members = saved.config, saved.members
  method = make_method(config, saved.example)
  create = lambda: initial_state(method, config, saved.example, members)
  abstract = checkpoint.abstract_state(create, opt=False)
  places = {}  # {step of a checkpoint, None for the latest: places of members}
  for place, member in enumerate(members):
    if not results.get(member.number, {}).get('frozen'):
      step = restore.select_step(folder, which, config.checkpoint.best, place)
      places.setdefault(step, []).append(place)
  states, chosen = [], []
  for step, of_step in places.items():
    tree = restore.newest(folder, abstract, log, step)
    if tree is None:
      raise UserError(f'{folder} has no checkpoint yet. Train it first')
    state = checkpoint.decode(tree)
    active = [place for place in of_step if place not in stack.frozen_members(state)]
    if active:
      states.append(jax.tree.map(lambda x, active=active: x[np.asarray(active)], state))
      chosen += active
  state = None
  if states:
    order = np.argsort(chosen)
    state = jax.tree.map(lambda *parts: jnp.concatenate(parts)[order], *states)
  members = tuple(members[place] for place in sorted(chosen))
  data = saved.data_dir, method, state, saved.data
  return TrainedRun(workdir, config, saved.example, *data, members)


def with_data(run: TrainedRun, name: str | None, data_dir: splits.Location) -> TrainedRun:
  """A run whose data is now elsewhere: a dataset, a path, or the tables of arrays; None: where it
  was."""
  config = run.config.copy_and_resolve_references()
  config.data.name = name or config.data.name
  return run._replace(config=config, data_dir=data_dir or run.data_dir)


def open_split(
  run: TrainedRun, split: str, put=None, log: Callable[[str], None] | None = None
) -> tuple[Table, Source]:
  """A split of a run's dataset: its table, and a source of its rows in order.

  `log` gets a line if the split is not the one that the run was trained on. Raises UserError if the
  run cannot use it.
  """
  data = run.config.data
  same_data.check_place(data, run.data_dir)
  split = splits.split_name(data, split, run.data_dir)
  table = splits.table(data, split, run.data_dir)
  if table.units and run.example.units:
    table = table._replace(units=run.example.units)  # those that the run has learned
  source = sources.test(data, table, put)
  same_data.check_fits(data.name, source.example, run.example)
  if log and split in run.data:
    change = same_data.compare(run.data[split], table, provenance(table), split)
    if change:
      log(f'not the data that the run was trained with: {change.words}')
  return table, source
