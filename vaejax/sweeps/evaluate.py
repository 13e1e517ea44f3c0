"""Evaluating all members of a sweep: one pass a stack."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax

from vaejax.core import sharding
from vaejax.core.devices import make_mesh
from vaejax.errors import RunError, UserError
from vaejax.estimates import Estimate
from vaejax.evaluation.evaluate import by_name, evaluate_state, write_values
from vaejax.lookup import lookup
from vaejax.plural import counted
from vaejax.runs import sweep_files, trained
from vaejax.sweeps import summary


def evaluate_sweep(
  folder: Path,
  names: Iterable[str] = (),
  split: str = 'test',
  seed: int = 0,
  overrides: Iterable[tuple[str, str]] = (),
  weights: str = 'ema',
  which: str = 'latest',
  data_dir: Any = None,
  log: Callable[[str], None] = print,
  data: str | None = None,
  progress: bool = True,
) -> tuple[dict[int, dict[str, Estimate]], list[str], Exception | None]:
  """Evaluates all members of a sweep but the frozen ones, and records the values of each in
  members/K/evaluation.json and, if they are of the last step, in results.csv and table.csv.

  Returns {member: {name: estimate}}, a line for each eval that does not fit and each stack that is
  not trained, and what kept the values from being recorded, None if they were. For the arguments
  see evaluate.evaluate. Raises UserError if no member can be evaluated.
  """
  for name in names:
    lookup('evals', name)
  estimates, skipped, problem = {}, [], None
  stacks = sweep_files.read_sweep(folder)['stacks']
  frozen = 0
  for number, numbers in enumerate(stacks):
    try:
      run = trained.with_data(trained.open_stack(folder, number, log, which), data, data_dir)
      frozen += len(numbers) - len(run.members)
      if not run.members:
        continue
      mesh = make_mesh(members=len(run.members))
      placement = jax.tree.map(sharding.state_sharding(mesh, stacked=True), run.state)
      run = run._replace(state=sharding.put_global(run.state, placement))
      settings = names, split, seed, overrides, weights, log, progress
      values, protocol, lines = evaluate_state(run, mesh, *settings)
    except UserError as error:
      skipped += error.args
      continue
    skipped += lines
    steps = jax.device_get(run.state.step).tolist()
    for member, of_member, step in zip(run.members, values, steps, strict=True):
      estimates[member.number] = by_name(of_member)
      path = folder / 'members' / str(member.number)
      failed = write_values(path, of_member, protocol(step))
      problem = problem or failed
    stack = sweep_files.stack_folder(folder, number)
    prefix = '' if split == 'test' else f'{split}/'
    rows = stack, run.members, steps, values, protocol(steps[0]), prefix
    failed = add_results(*rows)
    problem = problem or failed
  skipped = list(dict.fromkeys(skipped))
  if not estimates:
    raise UserError(*skipped or (f'{folder}: all members are frozen',))
  if frozen:
    log(f'{counted(frozen, "frozen member is", "frozen members are")} left out')
  failed = rewrite(folder)
  return estimates, skipped, problem or failed


def add_results(stack: Path, members, steps: list[int], *results) -> Exception | None:
  """Adds the values of members to results.json of their stack as sweep_files.write_results, if it
  has finished at the same steps. Returns the error instead of raising it."""
  finished = sweep_files.read_results(stack)
  if [finished.get(m.number, {}).get('step') for m in members] != steps:
    return None
  try:
    sweep_files.write_results(stack, members, steps, *results)
  except (OSError, RunError) as error:
    return error
  return None


def rewrite(folder: Path) -> Exception | None:
  """Rewrites the summary files of a sweep. Returns the error instead of raising it."""
  try:
    summary.write_summary(folder)
  except (OSError, RunError) as error:
    return error
  return None
