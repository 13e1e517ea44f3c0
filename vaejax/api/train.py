"""Training and sweeps from Python: silent, in any thread, and any number of times."""

import contextlib
import math
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from ml_collections import ConfigDict

from vaejax.api.data import Data, locate
from vaejax.config.fields import flat
from vaejax.config.load import load_config
from vaejax.core import passes
from vaejax.errors import UserError
from vaejax.sweeps import axes, summary
from vaejax.sweeps import sweep as sweeps
from vaejax.training import train as training

Config: TypeAlias = str | ConfigDict
Axes: TypeAlias = Mapping[str, str | Iterable[Any]]


def get_config(spec: Config) -> ConfigDict:
  """Returns the config of a spec, to read, change and train.

  A spec is a file or a module, and then its words: 'configs/vae.py:digits,steps=500', or
  'mylab.flow:digits'. Raises UserError.
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
  """Trains a config in a workdir, or resumes it, and returns {name: value} of the test split.

  Args:
    config: a config, or a spec, see `get_config`.
    workdir: the run's folder, which is created.
    data: arrays, or the name or path of a dataset; None: that of the config. Arrays are images
      [N, H, W, C] or [N, H, W], or a dict of 'images' or 'videos' [N, T, H, W, C], and optionally
      'labels' [N] (whole numbers or text; -1 or '' for a row without one) and 'factors', int [N, F]
      or {name: [N]}. 10 % of the rows become the test split; to choose it, pass
      {'train': arrays, 'test': arrays}, optionally with 'validation'. uint8 values are grey levels,
      booleans black and white; uint16 and floats are real numbers in their own units. Memory maps
      are not copied. Arrays are not saved: pass the same arrays again to resume the run.
    data_dir: the folder of prepared datasets.
    progress: print progress to stderr.

  Raises:
    UserError: the config, the data or the workdir cannot be used; nothing was created.
    RunError: a loss is not finite, or the disk is full; the last good checkpoint is kept.

  In the main thread, a signal that ends the run is raised again once the state is saved: Ctrl-C
  becomes KeyboardInterrupt, and the same call resumes the run.
  """
  overrides, source = parse_data(data, data_dir)
  config, folder = load_config(config, overrides), Path(workdir).expanduser()
  (values,) = run(lambda stream: training.train(config, folder, source, stream), progress)
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
  """Trains many runs of a config as one program, or resumes them.

  Returns a row for each member, in their order: 'member', the swept fields by their full names
  ('seed', 'hyper.beta'), 'step', 'frozen' and its test values, NaN for those that are not finite.

  Args:
    grid: {field: values}, for example {'seed': range(8), 'beta': [1, 4]}. Every combination is
      trained, and the last axis varies fastest. Values can be a str as on the command line,
      'log:1e-4:1e-2'.
    zip: axes that vary together.
    random, random_seed: how many values to draw from 'log:LOW:HIGH' and 'uniform:LOW:HIGH', and the
      seed of these draws.
    config, workdir, data, data_dir, progress: see `train`.

  Raises UserError and RunError as `train` does. A member whose loss is not finite is frozen.
  """
  overrides, source = parse_data(data, data_dir)
  kinds = {'grid': grid or {}, 'zip': zip or {}}
  texts = [(k, f'{f}={axis_text(f, values)}') for k, a in kinds.items() for f, values in a.items()]
  plan = axes.make_sweep(config, overrides, texts, random, random_seed)
  folder = Path(workdir).expanduser()
  run(lambda stream: sweeps.sweep(plan, folder, source, stream=stream), progress)
  return read_rows(plan, folder)


def parse_data(data: Any, data_dir: Any) -> tuple[list[tuple[str, str]], Any]:
  """Returns a config's overrides for `data`, and where to read it from. Raises UserError."""
  name, source = locate(data, data_dir)
  return [('data.name', name)] if name else [], source


def run(train: Callable[[Any], Any], progress: bool) -> Any:
  """Returns train(stream), with progress on stderr or nowhere; raises a signal that ended it."""
  with (
    contextlib.nullcontext(sys.stderr)
    if progress
    else open(os.devnull, 'w', encoding='utf-8') as stream
  ):
    try:
      return train(stream)
    except training.Stopped as stopped:
      signal.raise_signal(stopped.number)
      raise


def axis_text(field: str, values: Any) -> str:
  """Returns the values of an axis as --grid takes them. Raises UserError."""
  if isinstance(values, str):
    return values
  if not isinstance(values, Iterable):
    raise UserError(f'{field}={values!r} is not an axis. Use a list of values such as [{values!r}]')
  return ','.join(map(value_text, values))


def value_text(value: Any) -> str:
  """Returns a value as --grid takes it: 0.5, mlp, (64,32)."""
  if isinstance(value, tuple | list):
    return f'({",".join(map(value_text, value))})'
  return str(value.item() if isinstance(value, np.generic) else value)


def read_rows(plan: axes.Sweep, folder: Path) -> list[dict[str, Any]]:
  """Returns the rows that `sweep` returns."""
  results, rows = summary.read_results(folder), []
  for group in plan.groups:
    fields = flat(group.config)
    for member in group.members:
      varied = {'seed': member.seed} | {f'hyper.{k}': v for k, v in member.hyper.items()}
      swept = {f: varied.get(f, fields[f]) for f in plan.values[member.number]}
      result = results[member.number]
      values = {k: math.nan if v is None else v for k, v in result['values'].items()}
      end = {'step': result['step'], 'frozen': result['frozen']}
      rows.append({'member': member.number, **swept, **end, **values})
  return sorted(rows, key=lambda row: row['member'])
