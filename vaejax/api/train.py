"""Training and sweeps from Python: in any thread, as often as one likes, and silent."""

import contextlib
import math
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from ml_collections import ConfigDict

from vaejax.config.fields import flat
from vaejax.config.load import load_config
from vaejax.core import passes
from vaejax.data import arrays
from vaejax.errors import UserError
from vaejax.evaluation import judges
from vaejax.runs import sweep_files
from vaejax.sweeps import axes
from vaejax.sweeps import sweep as sweeps
from vaejax.training import train as loop

Config: TypeAlias = str | ConfigDict
Data: TypeAlias = str | Mapping[str, Any]
Axes: TypeAlias = Mapping[str, str | Iterable[Any]]


def get_config(spec: Config) -> ConfigDict:
  """The config of a spec, to be looked at, changed and trained.

  spec: 'configs/vae.py:digits,steps=500', the path of a file anywhere; or 'mylab.flow:digits', the
    dotted name of a module. The words after the colon are the config's own. Raises UserError.
  """
  return load_config(spec)


def train(
  config: Config,
  workdir: str | PathLike[str],
  data: Data | None = None,
  data_dir: str | PathLike[str] | None = None,
  *,
  progress: bool = False,
) -> dict[str, float]:
  """Trains the run of a config in a workdir, or goes on with it, and returns the values of the
  whole test split at its end, {name: value}.

  Args:
    config: a spec, see `get_config`, or a config.
    workdir: the run's folder, which is made.
    data: {'train': arrays, 'test': arrays}, and 'validation' where there is one; or the name of a
      set; None: the config's own. Arrays are images [N, H, W, C] or [N, H, W], or {'image': images,
      'label': int [N]}, with 'video' [N, T, H, W, C] in place of 'image' for videos. 8-bit data is
      uint8. Floats are real numbers in their own units, for a likelihood of real numbers. Arrays
      are not kept: to go on with the run, give the same again.
    data_dir: where prepared sets lie.
    progress: shows on stderr how far it has come.

  Raises:
    UserError: the config, the data or the workdir cannot be used; nothing was created.
    RunError: a loss is not a number, or the disk is full; the last good checkpoint stands.

  In the main thread a signal that ends it (SIGINT, SIGTERM) is raised again when the state has been
  saved: Ctrl-C is a KeyboardInterrupt, from which the same call goes on.
  """
  overrides, source = read(data, data_dir)
  built = load_config(config, overrides)
  run = lambda stream: loop.train(built, Path(workdir).expanduser(), source, stream)
  (values,) = heard(run, progress)
  if built.keep_as_judge:
    judges.keep(Path(workdir).expanduser(), print if progress else lambda text: None)
  return passes.flat(values)


def sweep(
  config: Config,
  workdir: str | PathLike[str],
  grid: Axes | None = None,
  zip: Axes | None = None,
  random: int = 0,
  random_seed: int = 0,
  data: Data | None = None,
  data_dir: str | PathLike[str] | None = None,
  *,
  progress: bool = False,
) -> list[dict[str, Any]]:
  """Trains many runs of a config as one program, or goes on with them. Returns a row for each
  member, in their order: 'member', the swept fields by their full names ('seed', 'hyper.beta'),
  'step', 'frozen' and its test values, NaN where one is no number.

  Args:
    grid: {field: values}, as {'seed': range(8), 'beta': [1, 4]}: axes that are crossed, the last
      one varying fastest. Values may be a text as the command line takes it: 'log:1e-4:1e-2'.
    zip: axes that vary together as one.
    random, random_seed: how many to draw from the ranges 'log:LOW:HIGH' and 'uniform:LOW:HIGH', and
      the seed of that.
    The others are those of `train`.

  Raises UserError and RunError as `train` does; a member whose loss is not a number is frozen.
  """
  overrides, source = read(data, data_dir)
  asked = [('grid', f, v) for f, v in (grid or {}).items()]
  asked += [('zip', f, v) for f, v in (zip or {}).items()]
  texts = [(kind, f'{field}={axis(field, values)}') for kind, field, values in asked]
  plan = axes.make_sweep(config, overrides, texts, random, random_seed)
  folder = Path(workdir).expanduser()
  heard(lambda stream: sweeps.sweep(plan, folder, source, stream=stream), progress)
  return rows(plan, folder)


def read(data: Any, data_dir: Any) -> tuple[list[tuple[str, str]], Any]:
  """The overrides of a config that data are, and where they come from. Raises UserError."""
  if isinstance(data, Mapping):
    return [('data.name', arrays.NAME)], arrays.tables(data)
  if not isinstance(data, str | None):
    raise UserError(
      f"data is a {type(data).__name__}: it takes {{'train': arrays, 'test': arrays}}, or the name "
      'of a set'
    )
  folder = None if data_dir is None else os.path.expanduser(os.fspath(data_dir))
  if folder and not Path(folder).is_dir():
    raise UserError(f'no folder data_dir={folder}')
  return [('data.name', data)] if data else [], folder


def heard(run: Callable[[Any], Any], progress: bool) -> Any:
  """run(stream); a signal that ended it goes to whoever heard it before."""
  try:
    with stream(progress) as shown:
      return run(shown)
  except loop.Stopped as stopped:
    signal.raise_signal(stopped.number)
    raise


@contextlib.contextmanager
def stream(progress: bool) -> Iterator[Any]:
  """Where progress goes: stderr, or nowhere."""
  if progress:
    yield sys.stderr
    return
  with open(os.devnull, 'w') as nowhere:
    yield nowhere


def axis(field: str, values: Any) -> str:
  """The text of an axis, as --grid takes it. Raises UserError."""
  if isinstance(values, str):
    return values
  if not isinstance(values, Iterable):
    raise UserError(f'{field}={values!r}: an axis takes a list of values, as [{values!r}]')
  return ','.join(map(text, values))


def text(value: Any) -> str:
  """A value as --grid takes it: 0.5, mlp, (64,32)."""
  if isinstance(value, np.generic):
    value = value.item()
  if isinstance(value, tuple | list):
    return f'({",".join(map(text, value))})'
  return value if isinstance(value, str) else repr(value)


def rows(plan: axes.Sweep, folder: Path) -> list[dict[str, Any]]:
  """What `sweep` returns of the members that have ended."""
  results: dict[int, dict] = {}
  for number, members in enumerate(sweep_files.read_sweep(folder)['stacks']):
    results |= sweep_files.read_results(sweep_files.stack_folder(folder, number), members)
  found = []
  for group in plan.groups:
    fields = flat(group.config)
    for member in group.members:
      own = {'seed': member.seed} | {f'hyper.{k}': v for k, v in member.hyper.items()}
      swept = {f: own.get(f, fields[f]) for f in plan.values[member.number]}
      one = results[member.number]
      values = {k: math.nan if v is None else v for k, v in one['values'].items()}
      ended = {'step': one['step'], 'frozen': one['frozen']}
      found.append({'member': member.number, **swept, **ended, **values})
  return sorted(found, key=lambda row: row['member'])
