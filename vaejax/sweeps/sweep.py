"""A sweep: stacks of members, each trained as one program in a workdir of its own.

The workdir of a sweep contains sweep.json, members.csv, the workdir stacks/N of each stack, files
of single members in members/K, and the summary of all members (see summary.py).
"""

import contextlib
import itertools
import os
from pathlib import Path

from vaejax.core.devices import ANY_LAYOUT, Layout
from vaejax.distributed import processes
from vaejax.errors import RunError, UserError
from vaejax.reporting.lines import print_line
from vaejax.runs import claim, sweep_files, workdir
from vaejax.runs.files import write_json
from vaejax.sweeps import axes, partition, summary
from vaejax.training.setup import set_up
from vaejax.training.train import Stopped, train

Stacks = list[list[int]]  # the numbers of the members of each stack


def sweep(
  plan: axes.Sweep,
  folder: Path,
  data_dir: str | None = None,
  layout: Layout = ANY_LAYOUT,
  max_members: int = 0,
  only: int | None = None,
  stream=None,
) -> str:
  """Trains a sweep in a workdir, or resumes it, and returns its table as text.

  Of several processes, process 0 alone writes, prints and returns the table.

  Args:
    max_members: of a stack; 0: as many as fit into memory.
    only: the group to train, if each group is a separate job; None: all of them.
    stream: for progress.

  Raises UserError, RunError and Stopped like `train`, and RunError if all members were frozen.
  """
  log = lambda text: processes.is_main() and print_line(text, stream)
  if only is not None and only >= len(plan.groups):
    raise UserError(f'--group={only} does not exist. Choose 0 to {len(plan.groups) - 1}')

  def read() -> Stacks | None:
    stacks = read_stacks(plan, folder)
    # A sweep without a step may be divided anew: its stacks may have been too large.
    return None if max_members and not claim.is_claimed(folder) else stacks

  stacks = processes.broadcast(read)
  if stacks and max_members:
    log(f'{folder} keeps its stacks: --slice={max_members} has no effect')
  data_dir = data_dir or os.environ.get('TFDS_DATA_DIR')
  stacks = stacks or make_stacks(plan, data_dir, layout, max_members)
  groups = plan.groups if only is None else plan.groups[only : only + 1]
  numbers = {member.number for group in groups for member in group.members}
  with contextlib.ExitStack() as resources:

    def lock():
      if not read():
        # With an exclusive lock, so that it does not delete what another job has just begun.
        with contextlib.suppress(UserError), workdir.locked(folder):
          claim.clear(folder)
      resources.enter_context(workdir.locked(folder, shared=only is not None))
      present = read_stacks(plan, folder)
      if present is None and sweep_files.is_sweep(folder):
        raise UserError(f'another sweep has just begun in {folder}. Use another workdir')
      if present not in (None, stacks):
        raise UserError(f'another job has just divided {folder} differently. Run the command again')
      write_plan(plan, stacks, folder)

    processes.on_main(lock)
    for number, members in enumerate(stacks):
      if members[0] not in numbers:
        continue
      log(f'stack {number + 1} of {len(stacks)}: {describe_stack(plan, members)}')
      config, members = stack_runs(plan, members)
      try:
        stack = sweep_files.stack_folder(folder, number)
        train(config, stack, data_dir, stream, members, layout)
      except Stopped:
        if processes.is_main():
          summary.write_summary(folder)
        raise
      table = processes.on_main(lambda: summary.write_summary(folder))
    if processes.broadcast(lambda: numbers <= summary.frozen_members(folder)):
      raise RunError(
        f'all members were frozen (see {folder}/results.csv). Try a smaller hyper.lr, or '
        'optimizer.clip=1, in another workdir'
      )
    return table


def make_stacks(plan: axes.Sweep, data_dir, layout: Layout, max_members: int) -> Stacks:
  """The stacks of a new sweep. Raises UserError like `set_up`."""
  memory = processes.broadcast(partition.device_memory)
  stacks = []
  for group in plan.groups:
    setup = processes.first(lambda g=group: set_up(g.config, data_dir, g.members, layout))
    # On all processes at once: they wait for each other when they compile for GPUs.
    stacks += partition.divide(group, setup, data_dir, layout, max_members, memory)
  return processes.broadcast(lambda: stacks)


def read_stacks(plan: axes.Sweep, folder: Path) -> Stacks | None:
  """The stacks of the sweep in a workdir, None if the workdir is unused. Raises UserError if it
  contains anything but the files of a start that failed before its first step."""
  if not sweep_files.is_sweep(folder):
    if claim.is_claimed(folder):
      raise UserError(f'{folder} contains a single run. Use another --workdir for a sweep')
    if not (folder / 'config.json').is_file():
      workdir.check_unused(folder)
    return None
  if not claim.is_claimed(folder):
    with contextlib.suppress(UserError):
      saved = sweep_files.read_sweep(folder)
      return saved['stacks'] if saved['values'] == list(plan.values) else None
    return None
  saved = sweep_files.read_sweep(folder)
  if saved['values'] != list(plan.values):
    describe = lambda values: f'{len(values)} members of {", ".join(values[0])}'
    raise UserError(
      f'{folder} already contains a sweep with different axes ({describe(saved["values"])} there, '
      f'{describe(plan.values)} here). Use the same axes, or another workdir'
    )
  return saved['stacks']


def stack_runs(plan: axes.Sweep, numbers: list[int]) -> axes.CompileGroup:
  """The config and the members of a stack."""
  group = next(g for g in plan.groups if numbers[0] in {member.number for member in g.members})
  members = tuple(member for member in group.members if member.number in set(numbers))
  return axes.CompileGroup(sweep_files.member_config(group.config, members[0]), members)


def describe_stack(plan: axes.Sweep, numbers: list[int]) -> str:
  """The members of a stack, as '3 members (0 to 1, 4), model.latents=8'."""
  values = plan.values[numbers[0]]
  static = [f'{f}={v}' for f, v in values.items() if f != 'seed' and not f.startswith('hyper.')]
  # Consecutive numbers have the same difference from their position.
  runs = itertools.groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])
  runs = [[number for _, number in run] for _, run in runs]
  ranges = [str(run[0]) if len(run) == 1 else f'{run[0]} to {run[-1]}' for run in runs]
  return ', '.join([f'{len(numbers)} members ({", ".join(ranges)})', *static])


def write_plan(plan: axes.Sweep, stacks: Stacks, folder: Path) -> None:
  """Writes sweep.json and members.csv."""
  write_json(folder / 'sweep.json', {'values': plan.values, 'stacks': stacks})
  stack = {number: i for i, numbers in enumerate(stacks) for number in numbers}
  seeds = {m.number: m.seed for group in plan.groups for m in group.members}
  fields = [field for field in plan.values[0] if field != 'seed']
  rows = [
    [number, stack[number], seeds[number], *(values[field] for field in fields)]
    for number, values in enumerate(plan.values)
  ]
  summary.write_csv(folder / 'members.csv', ['member', 'stack', 'seed', *fields], rows)
