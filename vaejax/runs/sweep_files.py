"""The files of a sweep: sweep.json, the workdir of each stack, and its results.json."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from vaejax.core.passes import Values
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


def write_results(
  folder: Path,
  members: Sequence[Member],
  steps: Sequence[int],
  values: Sequence[Values],
  protocols: Mapping[str, dict],
  prefix: str = '',
) -> None:
  """Writes test values of members of a stack, and their protocols, to results.json. Other values of
  the same weights stay.

  Args:
    steps: of the members' states [M]; ~step if a member is frozen.
    values: of each member.
    protocols: of each eval.
    prefix: of the names of the values.
  """
  path = folder / 'results.json'
  saved = read_json(path) if path.is_file() else {'protocols': {}, 'members': []}
  rows, of_values, counts = {row['member']: row for row in saved['members']}, {}, {}
  unordered = set()
  for member, step, of_evals in zip(members, np.asarray(steps).tolist(), values, strict=True):
    row = {'member': member.number, 'step': max(step, ~step), 'frozen': step < 0}
    same = row.items() <= rows.get(member.number, {}).items()
    old = rows[member.number] if same else {}
    of_values |= saved['protocols'] if same else {}
    named = {f'{prefix}{k}': e for of_eval in of_evals.values() for k, e in of_eval.items()}
    unordered |= {name for name, e in named.items() if e.unordered}
    row['values'] = {**old.get('values', {}), **{name: e.value for name, e in named.items()}}
    # Standard errors over examples.
    row['errors'] = {**old.get('errors', {}), **{name: e.error for name, e in named.items()}}
    rows[member.number] = row
  for of_evals in values:
    for eval_name, of_eval in of_evals.items():
      for name, estimate in of_eval.items():
        of_values[f'{prefix}{name}'] = protocols[eval_name]
        counts.setdefault(f'{prefix}{name}', set()).add(estimate.n)
  for name, of_members in counts.items():
    of_values[name] = {'n': span(of_members), **of_values[name]}
  members = [rows[number] for number in sorted(rows)]
  unordered = {*saved.get('unordered', ()), *unordered}
  write_json(path, {'protocols': of_values, 'members': members, 'unordered': sorted(unordered)})


def span(counts: set[int | None]) -> int | str | None:
  """The number of examples of a value, or 'A to B' if members have different ones."""
  known = sorted(counts - {None})
  return f'{known[0]} to {known[-1]}' if len(known) > 1 else next(iter(known), None)


def read_results(stack: Path) -> dict[int, dict]:
  """{member: its 'step', 'frozen', 'values' and 'errors'} of a stack; {} before it has finished."""
  path = stack / 'results.json'
  rows = read_json(path)['members'] if path.is_file() else []
  return {row['member']: {'errors': {}, **row} for row in rows}


def read_unordered(workdir: Path) -> set[str]:
  """The names of the values of a sweep that are `unordered`, see vaejax.estimates.Estimate."""
  unordered = set()
  for number in range(len(read_sweep(workdir)['stacks'])):
    path = stack_folder(workdir, number) / 'results.json'
    unordered.update(read_json(path).get('unordered', ()) if path.is_file() else ())
  return unordered


def read_protocols(workdir: Path) -> dict[str, dict]:
  """{value: its protocol} of a sweep, of the first stack that has it."""
  protocols = {}
  for number in range(len(read_sweep(workdir)['stacks'])):
    path = stack_folder(workdir, number) / 'results.json'
    protocols = {**(read_json(path)['protocols'] if path.is_file() else {}), **protocols}
  return protocols
