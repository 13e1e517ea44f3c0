"""Background models of the likelihood ratio (Ren et al. 2019, arXiv:1906.02845): other runs, with
whose log p(x) an anomaly score compares its own."""

from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from vaejax import scores
from vaejax.data import left_out
from vaejax.errors import UserError
from vaejax.runs import same_data, sweep_files, trained
from vaejax.types import Batch, Example, Hyper, averaged


def make(
  workdir: str, example: Example, samples: int, hyper: Mapping[str, float]
) -> tuple[Callable[[Batch, Hyper], jax.Array], str]:
  """Returns (batch, hyper) -> -log p(x) under the run in a workdir, in nats, [B], pure; and what it
  left out of training: 'the same class' or 'nothing'.

  If the workdir has a sweep, it is the member that left out the class hyper['left_out'], so each
  member of an evaluated sweep has its own background model. If no model left out that class, it is
  NaN, except under a single run that left out nothing. Raises UserError if there is no such run, if
  it has other data or no likelihood, and if none fits the run whose hyper-parameters are `hyper`.
  """
  folder = Path(workdir).expanduser()
  runs = open_runs(folder)
  first = runs[0]
  same_data.check_fits(str(folder), first.example, example)
  if 'log_weight' not in first.method.predict:
    raise UserError(f'the background model {folder} has no likelihood. Use a run of a VAE')
  nll = scores.make_nll(first.method, samples)
  if left_out.FIELD not in first.config.hyper:
    return (lambda batch, hyper: nll(averaged(first.state), batch)), 'nothing'
  classes = np.asarray([run.config.hyper[left_out.FIELD] for run in runs], np.float32)
  if float(hyper.get(left_out.FIELD, np.nan)) not in classes:
    has = 'has not' if len(runs) == 1 else 'has no member that'
    raise UserError(
      f'the background model {folder} {has} left out the same class as this run. Give one that '
      f'left out {described(hyper)}'
    )
  # As arrays on the device they are not copied into the program as constants.
  variables = jax.tree.map(lambda *x: jnp.stack(x), *(averaged(run.state) for run in runs))

  def of_member(batch: Batch, hyper: Hyper):
    is_same = classes == hyper[left_out.FIELD]
    of_same = jax.tree.map(lambda x: x[jnp.argmax(is_same)], variables)
    return jnp.where(jnp.any(is_same), nll(of_same, batch), jnp.nan)

  return of_member, 'the same class'


def described(hyper: Mapping[str, float]) -> str:
  """What a run left out: 'class 3', or 'nothing'."""
  return f'class {hyper[left_out.FIELD]:g}' if left_out.FIELD in hyper else 'nothing'


def open_runs(folder: Path) -> list[trained.TrainedRun]:
  """The run in a workdir, or the members of a sweep, each of which left out another class. Raises
  UserError."""
  silent = lambda line: None
  if not sweep_files.is_sweep(folder):
    return [trained.open_run(folder, silent)]
  numbers = [n for stack in sweep_files.read_sweep(folder)['stacks'] for n in stack]
  runs = [trained.open_run(folder, silent, member=number) for number in sorted(numbers)]
  values = [run.config.hyper.get(left_out.FIELD) for run in runs]
  if len(runs) > 1 and (None in values or len(set(values)) < len(values)):
    raise UserError(
      f'the background sweep {folder} must have one member for each left-out class. Use a member, '
      f'{folder}/members/K'
    )
  return runs
