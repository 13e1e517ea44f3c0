"""A sweep: its members in stacks, each trained as one program in a workdir of its own.

A sweep's workdir holds sweep.json, members.csv, stacks/N, each the workdir of a stack, members/K
with what is made of one member, and what is gathered from all (see summary.py).
"""

import contextlib
import csv
import io
import itertools
import os
from pathlib import Path

from vaejax.core import sharding
from vaejax.distributed import processes
from vaejax.errors import RunError, UserError
from vaejax.runs import sweep_files, workdir
from vaejax.runs.files import write_atomic, write_json
from vaejax.sweeps import axes, partition, summary
from vaejax.training.setup import set_up
from vaejax.training.train import Stopped, train

Stack = tuple  # (config, members)


def sweep(
  plan: axes.Sweep,
  folder: Path,
  data_dir: str | None = None,
  layout: sharding.Layout = sharding.ANY_LAYOUT,
  at_once: int = 0,
  only: int | None = None,
  stream=None,
) -> str:
  """Trains a sweep in a workdir, or goes on with it, and returns its table as text. Of several
  processes, process 0 alone writes, and has the table.

  Args:
    at_once: members of a stack at most, 0: as many as fit into memory.
    only: the number of the one group to train, for where each is a job of its own; None: all.

  Raises UserError, RunError and Stopped as `train` does; RunError also where no member went on.
  """
  say = lambda text: processes.is_main() and print(text, file=stream, flush=True)
  last = len(plan.groups) - 1
  if only is not None and only > last:
    raise UserError(f'--group={only}: the sweep has {last + 1}, it takes 0 to {last}')
  saved = processes.on_main(lambda: compare(plan, folder))
  data_dir = data_dir or os.environ.get('TFDS_DATA_DIR')
  numbers = processes.broadcast(lambda: saved and saved['stacks'])
  if numbers and at_once:
    say(f'{folder}: its stacks stay as they are, --slice={at_once} changes nothing')
  stacks = restack(plan, numbers or make_stacks(plan, data_dir, layout, at_once))
  asked = plan.groups if only is None else plan.groups[only : only + 1]
  wanted = {member.number for each in asked for member in each.members}
  with contextlib.ExitStack() as locks:

    def lock():
      locks.enter_context(workdir.locked(folder, shared=only is not None))
      written = compare(plan, folder)
      if written and written['stacks'] != numbered(stacks):
        raise UserError(f'{folder}: another job has divided the sweep otherwise: run this again')
      describe(plan, stacks, folder)

    processes.on_main(lock)
    for number, (config, members) in enumerate(stacks):
      if members[0].number not in wanted:
        continue
      say(f'stack {number + 1} of {len(stacks)}: {told(plan, members)}')
      own = sweep_files.stack_folder(folder, number)
      try:
        train(config, own, data_dir, stream, members, layout)
      except Stopped:  # there are rows and curves to look at
        if processes.is_main():
          summary.gather(folder)
        raise
      table = processes.on_main(lambda: summary.gather(folder))
    if processes.broadcast(lambda: wanted <= summary.frozen(folder)):
      raise RunError(
        f'every member was frozen, where {folder}/results.csv says: try a smaller hyper.lr, or '
        'optimizer.clip=1, in another --workdir'
      )
    return table


def make_stacks(
  plan: axes.Sweep, data_dir, layout: sharding.Layout, at_once: int
) -> list[list[int]]:
  """The numbers of the members of each stack of a new sweep. Raises UserError as `set_up` does."""
  found, limit = [], processes.broadcast(partition.memory)
  for each in plan.groups:
    config, members = stacked(each, each.members)
    setup = processes.first(lambda config=config, m=members: set_up(config, data_dir, m, layout))
    # All processes at once: where they compile for GPUs they wait for each other.
    found += partition.divide(each, setup, data_dir, layout, at_once, limit)
  return processes.broadcast(lambda: [[member.number for member in members] for members in found])


def told(plan: axes.Sweep, members) -> str:
  """Which members a stack has, in words."""
  values = plan.values[members[0].number]
  static = [f'{f}={v}' for f, v in values.items() if f != 'seed' and not f.startswith('hyper.')]
  numbers = [member.number for member in members]
  # Runs of numbers: those that are next to each other share the difference from their place.
  runs = itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
  runs = [[number for _, number in run] for _, run in runs]
  named = [str(run[0]) if len(run) == 1 else f'{run[0]} to {run[-1]}' for run in runs]
  return ', '.join([f'{len(members)} members ({", ".join(named)})', *static])


def compare(plan: axes.Sweep, folder: Path) -> dict | None:
  """What a workdir saved of its sweep, None where there is none. Raises UserError where the workdir
  cannot be this sweep's."""
  if not sweep_files.is_sweep(folder):
    workdir.check_unused(folder)
    return None
  saved = sweep_files.read_sweep(folder)
  if saved['values'] != list(plan.values):
    raise UserError(
      f'{folder} holds a sweep of other members ({count(saved["values"])}; now '
      f'{count(plan.values)}): give the same axes, or take another --workdir'
    )
  return saved


def count(values) -> str:
  """How many members, of which fields, in words."""
  return f'{len(values)} of {", ".join(values[0])}'


def restack(plan: axes.Sweep, stacks: list[list[int]]) -> list[Stack]:
  """The stacks of before. Raises UserError where their members no longer go together."""
  group = {member.number: each for each in plan.groups for member in each.members}
  found = []
  for numbers in stacks:
    parts = {id(group[number]): group[number] for number in numbers}
    if len(parts) != 1:
      raise UserError('sweep.json has stacks of members of several configs: put it back')
    (whole,) = parts.values()
    found.append(stacked(whole, [m for m in whole.members if m.number in set(numbers)]))
  return found


def numbered(stacks: list[Stack]) -> list[list[int]]:
  """The numbers of the members of each stack."""
  return [[member.number for member in members] for _, members in stacks]


def stacked(group: axes.CompileGroup, members) -> Stack:
  """The config of some members of a group, that of the first of them, and the members."""
  return sweep_files.member_config(group.config, members[0]), tuple(members)


def describe(plan: axes.Sweep, stacks: list[Stack], folder: Path) -> None:
  """Writes sweep.json and members.csv."""
  numbers = numbered(stacks)
  write_json(folder / 'sweep.json', {'values': plan.values, 'stacks': numbers})
  place = {number: n for n, members in enumerate(numbers) for number in members}
  seeds = {m.number: m.seed for group in plan.groups for m in group.members}
  fields = [field for field in plan.values[0] if field != 'seed']
  text = io.StringIO()
  table = csv.writer(text, lineterminator='\n')
  table.writerow(['member', 'stack', 'seed', *fields])
  for number, values in enumerate(plan.values):
    table.writerow([number, place[number], seeds[number], *(values[field] for field in fields)])
  write_atomic(folder / 'members.csv', text.getvalue())
