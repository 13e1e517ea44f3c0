"""Whether what a workdir holds is the run, or the stack, that is to go on in it."""

import itertools
from pathlib import Path

from vaejax.config.serialise import differences
from vaejax.core.stack import Member
from vaejax.errors import UserError
from vaejax.runs import checkpoint, sweep_files, workdir

SHOWN = 5  # fields in which two configs differ that are named


def compare(config, folder: Path, members=()) -> workdir.SavedRun | None:
  """What a workdir's run saved of itself, None where there is no run.

  Raises UserError where the workdir cannot be this config's.
  """
  if sweep_files.is_sweep(folder):
    raise UserError(f'{folder} holds a sweep: go on with it by sweep, or take another --workdir')
  stacks = folder.absolute().parent
  if not members and stacks.name == 'stacks' and sweep_files.is_sweep(stacks.parent):
    raise UserError(f'{folder} is a part of the sweep in {stacks.parent}: go on with it by sweep')
  if not (folder / 'config.json').exists():
    workdir.check_unused(folder, 'run')
    return None
  saved = workdir.read_config(folder)
  if saved.members != tuple(members):
    pairs = itertools.zip_longest(saved.members, members)
    before, now = next(pair for pair in pairs if pair[0] != pair[1])
    raise UserError(
      f'{folder} holds a stack of other members ({named(before)}; now {named(now)}): give the same '
      'values, or take another --workdir'
    )
  for name in ('checkpoints', 'images', 'tensorboard'):
    if (folder / name).exists() and not (folder / name).is_dir():
      raise UserError(f'{folder / name} is in the way: it takes a folder; move the file elsewhere')
  if (folder / 'evaluation.json').exists() and not checkpoint.steps(folder):
    raise UserError(
      f'{folder} holds a run whose checkpoints are gone: put them back, or take another --workdir'
    )
  found = differences(saved.config, config)
  if found:
    if found[SHOWN:]:
      found[SHOWN:] = [f'{len(found) - SHOWN} more']
    raise UserError(
      f'{folder} holds a run of another config ({"; ".join(found)}): give the same values, or take '
      'another --workdir'
    )
  return saved


def named(member: Member | None) -> str:
  """A member in words."""
  if member is None:
    return 'none'
  hyper = ', '.join(f'{name}={value:g}' for name, value in member.hyper.items())
  return f'member {member.number}: seed={member.seed}, {hyper}'
