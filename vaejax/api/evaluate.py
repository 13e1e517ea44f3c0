"""Test values of a trained run, from Python."""

import warnings
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any, Literal

from vaejax.api import inputs
from vaejax.api.data import Data, locate
from vaejax.api.load import check_run
from vaejax.estimates import Estimate
from vaejax.evaluation import evaluate as evaluation
from vaejax.runs.sweep_files import is_sweep
from vaejax.sweeps.evaluate import evaluate_sweep


def evaluate(
  workdir: str | PathLike[str],
  evals: Iterable[str] = (),
  checkpoint: str | int = 'latest',
  member: int | None = None,
  weights: Literal['ema', 'raw'] = 'ema',
  *,
  split: str = 'test',
  seed: int = 0,
  settings: Mapping[str, Any] | None = None,
  data: Data | None = None,
  data_dir: str | PathLike[str] | None = None,
  progress: bool = False,
) -> dict[str, Estimate] | dict[int, dict[str, Estimate]]:
  """Evaluates a trained run, writes the values to its evaluation.json, and returns them as
  {name: Estimate(value, error, ...)}, see vaejax/estimates.py.

  For a sweep without `member`, evaluates all members except the frozen ones together, returns
  {member: {name: Estimate}}, and writes members/K/evaluation.json, results.csv and table.csv.

  Args:
    workdir, checkpoint, member, weights: see `load`.
    evals: names of evals, see vaejax/evals; by default those of the run's config.
    split: a split of the run's dataset.
    seed: of random draws.
    settings: of evals, for example {'nll.samples': 50}.
    data, data_dir: where the data of the run is now, see `load`.
    progress: print progress.

  Raises UserError. An eval that does not fit the run is a warning, and so is a workdir in which
  the values cannot be recorded.
  """
  folder = check_run(workdir, member, weights)
  inputs.integer('seed', seed, 0, 2**32 - 1)
  name, data_dir = locate(data, data_dir)
  messages = []
  log = print if progress else messages.append
  overrides = [(f'eval.{field}', str(value)) for field, value in (settings or {}).items()]
  names = (evals,) if isinstance(evals, str) else tuple(evals)
  given = folder, names, split, seed, overrides, weights, str(checkpoint), data_dir
  if member is None and is_sweep(folder):
    values, skipped, problem = evaluate_sweep(*given, log, name, progress)
  else:
    values, skipped, problem = evaluation.evaluate(*given, member, log, name, progress)
  for text in messages:
    warnings.warn(text, stacklevel=2)
  if problem:
    skipped.append(f'the values are not recorded: {problem}')
  for text in skipped:
    warnings.warn(text, stacklevel=2)
  return values
