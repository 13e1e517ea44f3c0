"""Loading trained runs from Python."""

import warnings
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from vaejax.api import inputs
from vaejax.api.data import Data, locate
from vaejax.api.run import Run
from vaejax.errors import UserError
from vaejax.runs import trained


def load(
  workdir: str | PathLike[str],
  checkpoint: str | int = 'latest',
  member: int | None = None,
  weights: Literal['ema', 'raw'] = 'ema',
  *,
  data: Data | None = None,
  data_dir: str | PathLike[str] | None = None,
) -> Run:
  """Returns the run in a workdir, or a member of a sweep. No data is read.

  Args:
    workdir: the run's folder.
    checkpoint: 'latest', 'best' or a step.
    member: the number of a sweep's member, see members.csv.
    weights: 'ema' for the averaged weights if there are any, or 'raw'.
    data: where its data is now, if it has moved: the name or path of a dataset, or arrays as for
      `train`.
    data_dir: the folder of prepared datasets, by default the one that it was trained with.

  Raises UserError if there is no such run, member or checkpoint. If the latest checkpoint cannot be
  read, the one before it is used, with a warning.
  """
  folder, messages = check_run(workdir, member, weights), []
  place = locate(data, data_dir)
  opened = trained.open_run(folder, messages.append, str(checkpoint), member=member)
  for text in messages:
    warnings.warn(text, stacklevel=2)
  return Run(trained.with_data(opened, *place), weights)


def check_run(workdir: Any, member: Any, weights: Any) -> Path:
  """Checks the arguments that name a run, and returns its workdir. Raises UserError."""
  if weights not in ('ema', 'raw'):
    raise UserError(f'weights={weights!r} is unknown. Use ema or raw')
  if member is not None:
    inputs.integer('member', member, 0)
  if not isinstance(workdir, str | PathLike):
    raise UserError(f'workdir={workdir!r} is not a path. Use the folder of a trained run')
  return Path(workdir).expanduser()
