"""Checks that a workdir contains the run, or the stack of runs, that is to resume in it."""

import contextlib
import itertools
from pathlib import Path

import jax
import numpy as np

from vaejax.config.serialise import differences
from vaejax.core import stack
from vaejax.core.sharding import replicate
from vaejax.core.stack import Member
from vaejax.data import sources
from vaejax.errors import UserError
from vaejax.runs import checkpoint, claim, sweep_files, workdir
from vaejax.types import State

MAX_FIELDS = 5  # differing fields that a message names


def read_matching(config, folder: Path, members=()) -> workdir.SavedRun | None:
  """The saved run of this config in a workdir, None if the workdir is unused.

  The files of a start that failed before its first step are ignored if its config is another one.
  Raises UserError if the workdir contains anything else.
  """
  if sweep_files.is_sweep(folder) and claim.is_claimed(folder):
    raise UserError(f'{folder} contains a sweep. Resume it with sweep, or use another workdir')
  sweep = folder.absolute().parent.parent
  if not members and folder.absolute().parent.name == 'stacks' and sweep_files.is_sweep(sweep):
    raise UserError(f'{folder} is part of the sweep in {sweep}. Resume it with sweep')
  if not (folder / 'config.json').exists():
    if not sweep_files.is_sweep(folder):
      workdir.check_unused(folder)
    return None
  if not claim.is_claimed(folder):
    with contextlib.suppress(UserError):
      saved = workdir.read_config(folder)
      same = saved.members == tuple(members) and not differences(saved.config, config)
      return saved if same else None
    return None
  saved = workdir.read_config(folder)
  if saved.members != tuple(members):
    pairs = itertools.zip_longest(saved.members, members)
    before, now = next(pair for pair in pairs if pair[0] != pair[1])
    raise UserError(
      f'{folder} contains a stack with other members ({member_in_words(before)} there, '
      f'{member_in_words(now)} here). Use the same values, or another workdir'
    )
  for name in ('checkpoints', 'images', 'tensorboard'):
    if (folder / name).is_file():
      raise UserError(f'{folder / name} must be a folder, not a file. Move the file elsewhere')
  if (folder / 'evaluation.json').exists() and not checkpoint.steps(folder):
    raise UserError(
      f'{folder} contains a run whose checkpoints are missing. Put them back, or use another '
      'workdir'
    )
  if changes := differences(saved.config, config):
    if len(changes) > MAX_FIELDS:
      changes[MAX_FIELDS:] = [f'{len(changes) - MAX_FIELDS} more']
    raise UserError(
      f'{folder} already contains a run with a different config ({"; ".join(changes)}). Use the '
      f'same values, or another workdir, where init_from={folder} starts from its nets'
    )
  return saved


def check_hyper(config, folder: Path, state: State, members=()) -> None:
  """Raises UserError if the state of a run has other hyper-parameters, or another seed, than an
  edited config.json: the run would go on with those of the state."""
  expected = [member.hyper for member in members] or [dict(config.hyper)]
  actual = {name: np.atleast_1d(np.asarray(replicate(x))) for name, x in state.hyper.items()}
  seeds = [member.seed for member in members] or [config.seed]
  keys = np.asarray(replicate(jax.random.key_data(state.key))).reshape(len(seeds), -1)
  step = stack.current_step(state)
  for place, (hyper, seed) in enumerate(zip(expected, seeds, strict=True)):
    changes = [
      f'hyper.{name} is {hyper[name]:g}, but {actual[name][place]:g} in checkpoint {step}'
      for name in hyper
      if name in actual and np.float32(hyper[name]) != actual[name][place]
    ]
    if not np.array_equal(keys[place], jax.random.key_data(sources.run_key(seed))):
      changes.append(f'seed is {seed}, but another one in checkpoint {step}')
    if changes:
      raise UserError(
        f'{folder}/config.json was edited: {"; ".join(changes)}. Put the old value back, or train '
        f'with the new one in another workdir, where init_from={folder} starts from its nets'
      )


def member_in_words(member: Member | None) -> str:
  """A member as 'member 3: seed=3, lr=0.001'."""
  if member is None:
    return 'none'
  return f'member {member.number}: seed={member.seed}, {hyper_in_words(member.hyper)}'


def hyper_in_words(hyper) -> str:
  """Hyper-parameters as 'lr=0.001, beta=4'."""
  return ', '.join(f'{name}={value:g}' for name, value in hyper.items())
