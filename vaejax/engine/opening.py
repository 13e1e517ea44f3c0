"""A trained run, or one member of a sweep, opened to sample from and to evaluate."""

from pathlib import Path
from typing import Any, NamedTuple

import jax

from vaejax.axes import Member
from vaejax.data import load
from vaejax.data.table import Table
from vaejax.engine import checkpoint, restoring, stack
from vaejax.engine.files import read_json
from vaejax.engine.workdir import Saved, initial, make_method, read_config
from vaejax.errors import UserError
from vaejax.types import Example, Method, Source, State


class Run(NamedTuple):
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
) -> Run:
  """A run, or a member of a sweep, at its newest checkpoint that can be read, at its 'best', or at
  a step, by default on the first device. Raises UserError."""
  workdir, member = (workdir, member) if member is not None else parse_member(workdir)
  folder = workdir if member is None and not is_sweep(workdir) else stack_of(workdir, member)
  saved = read_config(folder)
  config, example, members = saved.config, saved.example, saved.members
  method = make_method(config, example)
  create = lambda: initial(method, config, example, members)
  like, place = checkpoint.abstract(create, opt=False), place_of(folder, saved, member)
  chosen = restoring.choose(folder, which, config.checkpoint.best, place)
  tree = restoring.newest(folder, like, say, chosen)
  if tree is None:
    raise UserError(f'{workdir} has no checkpoint yet: train it first')
  state = checkpoint.decode(tree)
  if members:
    # In the host's memory still: a stack may fill more devices than there are here.
    frozen = place in stack.frozen(state)
    config, state = configured(config, members[place]), stack.take(state, place)
    if frozen:
      say(f'member {member} was frozen at step {int(state.step)}, after which it was no number')
    workdir = workdir / 'members' / str(member)
  sharding = sharding or jax.sharding.SingleDeviceSharding(jax.devices()[0])
  return Run(workdir, config, example, saved.data_dir, method, jax.device_put(state, sharding))


def place_of(folder: Path, saved: Saved, member: int | None) -> int:
  """The place of a member in the stack that a workdir holds; 0 for the run that it holds. Raises
  UserError."""
  if saved.members and member is None:
    raise UserError(f'{folder} is a stack of a sweep: take the --workdir of that, and a --member')
  numbers = [one.number for one in saved.members]
  if saved.members and member not in numbers:
    raise UserError(f'{folder}/config.json has no member {member}: put back that of the sweep')
  return numbers.index(member) if saved.members else 0


def parse_member(path: Path) -> tuple[Path, int | None]:
  """(SWEEP, K) of SWEEP/members/K, and (path, None) of any other."""
  if path.parent.name == 'members' and path.name.isdecimal() and is_sweep(path.parent.parent):
    return path.parent.parent, int(path.name)
  return path, None


def config_of(path: Path):
  """The config of the run that a workdir holds, or SWEEP/members/K names. Raises UserError."""
  folder, number = parse_member(path)
  folder = folder if number is None and not is_sweep(folder) else stack_of(folder, number)
  saved = read_config(folder)
  place = place_of(folder, saved, number)
  return configured(saved.config, saved.members[place]) if saved.members else saved.config


def configured(config, member: Member):
  """The config of the single run that a member is."""
  config = config.copy_and_resolve_references()
  config.seed = member.seed
  config.hyper.update(member.hyper)
  return config


def is_sweep(workdir: Path) -> bool:
  """Whether a workdir is that of a sweep."""
  return (workdir / 'sweep.json').is_file()


def read_sweep(workdir: Path) -> dict:
  """What sweep.json holds: 'values' of each member, {field: text}; and 'stacks', the numbers of the
  members that train at once. Raises UserError."""
  path = workdir / 'sweep.json'
  saved = read_json(path)
  try:
    values, stacks = saved['values'], saved['stacks']
    counted = sorted(number for members in stacks for number in members)
    texts = (text for one in values for pair in one.items() for text in pair)
    whole = counted == list(range(len(values))) and all(type(n) is int for n in counted)
    if not (values and whole and all(isinstance(text, str) for text in texts)):
      raise ValueError
  except (LookupError, TypeError, ValueError, AttributeError):
    raise UserError(f'{path} is not that of a sweep: put it back') from None
  return saved


def stack_folder(workdir: Path, number: int) -> Path:
  """The workdir of a sweep's stack of that number."""
  return workdir / 'stacks' / str(number)


def stack_of(workdir: Path, member: int | None) -> Path:
  """The workdir of the stack that a sweep's member is in. Raises UserError where there is none."""
  if not is_sweep(workdir):
    raise UserError(f'--member={member}: {workdir} is no sweep; leave it out')
  saved = read_sweep(workdir)
  last = len(saved['values']) - 1
  if member is None or member > last:
    given = 'holds a sweep' if member is None else f'has no member {member}'
    raise UserError(f'{workdir} {given}: name one, --member=0 to {last}, as members.csv lists them')
  number = next(n for n, members in enumerate(saved['stacks']) if member in members)
  folder = stack_folder(workdir, number)
  if not (folder / 'config.json').exists():
    raise UserError(f'{workdir}: member {member} is not trained yet: go on with the sweep first')
  return folder


def open_split(run: Run, split: str, data_dir: str | None, put=None) -> tuple[Table, Source]:
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
