"""The files of a sweep: sweep.json, the workdir of each stack, and its results.json."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vaejax.core.stack import Member
from vaejax.errors import UserError
from vaejax.runs.files import read_json, write_json
from vaejax.runs.workdir import SavedRun, read_config


def is_sweep(workdir: Path) -> bool:
  """Whether a workdir contains a sweep."""
  return (workdir / 'sweep.json').is_file()


def read_sweep(workdir: Path) -> dict:
  """The content of sweep.json: 'values', the swept fields of each member as {field: text}, and
  'stacks', the numbers of the members that train together. Raises UserError."""
  saved = read_json(workdir / 'sweep.json')
  if not isinstance(saved, dict) or not {'values', 'stacks'} <= saved.keys():
    raise UserError(f'{workdir}/sweep.json does not describe a sweep. Restore the original file')
  return saved


def stack_folder(workdir: Path, number: int) -> Path:
  """The workdir of a stack of a sweep."""
  return workdir / 'stacks' / str(number)


def stack_of(workdir: Path, member: int | None) -> Path:
  """The workdir of the stack that contains a member. Raises UserError if there is none."""
  if not is_sweep(workdir):
    raise UserError(f'member={member}: {workdir} is not a sweep. Leave the member out')
  saved = read_sweep(workdir)
  last = len(saved['values']) - 1
  if member is None or not 0 <= member <= last:
    problem = 'contains a sweep' if member is None else f'has no member {member}'
    raise UserError(f'{workdir} {problem}. Choose a member from 0 to {last}, see members.csv')
  number = next(n for n, members in enumerate(saved['stacks']) if member in members)
  folder = stack_folder(workdir, number)
  if not (folder / 'config.json').exists():
    raise UserError(f'{workdir}: member {member} is not trained yet. Resume the sweep first')
  return folder


def parse_member(path: Path) -> tuple[Path, int | None]:
  """(SWEEP, K) for SWEEP/members/K, and (path, None) for any other path."""
  if path.parent.name == 'members' and path.name.isdecimal() and is_sweep(path.parent.parent):
    return path.parent.parent, int(path.name)
  return path, None


def place_of(folder: Path, saved: SavedRun, member: int | None) -> int:
  """The index of a member in the stack that a workdir contains; 0 for a run. Raises UserError."""
  if not saved.members:
    return 0
  if member is None:
    raise UserError(f'{folder} is a stack of a sweep. Use the workdir of the sweep, and a member')
  numbers = [m.number for m in saved.members]
  if member not in numbers:
    raise UserError(f'{folder}/config.json has no member {member}. Restore the original file')
  return numbers.index(member)


def member_config(config, member: Member):
  """The config of a member as a single run."""
  config = config.copy_and_resolve_references()
  config.seed = member.seed
  config.hyper.update(member.hyper)
  return config


def read_run_config(path: Path):
  """The config of the run in a workdir, or of the member SWEEP/members/K. Raises UserError."""
  folder, number = parse_member(path)
  folder = folder if number is None and not is_sweep(folder) else stack_of(folder, number)
  saved = read_config(folder)
  place = place_of(folder, saved, number)
  return member_config(saved.config, saved.members[place]) if saved.members else saved.config


def write_results(folder: Path, members: Sequence[Member], steps, values, protocols: dict) -> None:
  """Writes the members' test values, and the protocol of each eval, to results.json; `steps` [M]
  are the steps of the stack's state."""
  rows = [
    {'member': member.number, 'step': max(step, ~step), 'frozen': step < 0, 'values': numbers}
    for member, step, numbers in zip(members, np.asarray(steps).tolist(), values, strict=True)
  ]
  write_json(folder / 'results.json', {'protocols': protocols, 'members': rows})


def read_results(stack: Path) -> dict[int, dict]:
  """{member: its 'step', 'frozen' and 'values'} of a stack; {} before it has finished."""
  path = stack / 'results.json'
  return {row['member']: row for row in read_json(path)['members']} if path.is_file() else {}
