"""The files of a sweep: sweep.json, and results.json of each stack."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vaejax.core.stack import Member
from vaejax.errors import UserError
from vaejax.runs.files import read_json, write_json
from vaejax.runs.workdir import SavedRun, read_config


def place_of(folder: Path, saved: SavedRun, member: int | None) -> int:
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


def write_results(folder: Path, members: Sequence[Member], steps, values, protocols: dict) -> None:
  """Writes the members' test values and the protocol of each eval to results.json; `steps` [M] are
  those of the stack's state."""
  rows = [
    {'member': member.number, 'step': max(step, ~step), 'frozen': step < 0, 'values': found}
    for member, step, found in zip(members, np.asarray(steps).tolist(), values, strict=True)
  ]
  write_json(folder / 'results.json', {'protocols': protocols, 'members': rows})


def read_results(stack: Path, numbers: list[int]) -> dict[int, dict]:
  """{member: what results.json of a stack says of it}; {} where there is none. Raises UserError."""
  path = stack / 'results.json'
  if not path.is_file():
    return {}
  saved = read_json(path)
  try:
    found = {one['member']: one for one in saved['members']}
    for number, one in found.items():
      plain = type(one['step']) is int and type(one['frozen']) is bool and number in numbers
      values = one['values'].values()
      if not (plain and all(value is None or type(value) is float for value in values)):
        raise ValueError
  except (LookupError, TypeError, ValueError, AttributeError):
    raise UserError(f'{path} is not that of a stack: delete it, and run the sweep again') from None
  return found
