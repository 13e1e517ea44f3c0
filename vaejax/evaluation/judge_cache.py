"""The best judge of each dataset, which the user's cache names: a small file with its workdir."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np

from vaejax.data import sets, settings, sources
from vaejax.data.cache import cache_folder
from vaejax.data.cached import digest
from vaejax.data.paths import is_path, is_tfds
from vaejax.errors import UserError
from vaejax.runs import checkpoint, workdir
from vaejax.runs.files import read_json, write_json
from vaejax.runs.trained import TrainedRun, open_run, open_split
from vaejax.types import Example, averaged

METRIC = 'accuracy'  # by which judges are compared


def keep(folder: Path, log: Callable[[str], None] = print) -> None:
  """Makes a finished run the judge of its dataset, unless the cache names a better one.

  Better is a higher METRIC on the validation split. Raises UserError.
  """
  run, dataset = open_judge(folder, log), workdir.read_config(folder)
  target = predicted_field(run.config)
  path, name = cache_path(run.config.data, target), dataset_name(run.config.data)
  step = int(run.state.step)
  available = step in checkpoint.steps(folder)
  metrics = checkpoint.read_meta(folder, step)['metrics'] if available else []
  count = sources.count_labels(run.config.data, open_split(run, 'test')[0])
  if target == 'label' and count and not count.labelled:
    log(f'not kept as judge of {name}: its test split has no labels, so its accuracy is unknown')
    return
  if 'validation' not in dataset.data or not metrics or METRIC not in metrics[0]:
    log(f'not kept as judge of {name}: that needs {METRIC} on a validation split (data.validation)')
    return
  entry = {'workdir': str(folder.absolute()), 'metric': METRIC, 'value': metrics[0][METRIC]}
  use_it = f'Use this one with eval.judge.workdir={folder}'
  try:
    if (better := better_judge(path, entry['value'], run.example)) not in (None, entry['workdir']):
      log(f'{path} names a judge with a better {METRIC}, {better}, which stays. {use_it}')
      return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, entry | {'checksum': checksum(run)})
    log(f'judge of {name}, {METRIC} {entry["value"]:.4g} on its validation split: {path}')
  except OSError as error:
    log(f'cannot keep the judge in {path.parent} ({error.strerror}). {use_it}')


def dataset_name(data) -> str:
  """The name of a dataset, as part of the names of files and metrics."""
  return re.sub(r'\W', '_', sets.title(data.name).strip('/')) or 'data'


def predicted_field(config) -> str:
  """The field that the judge of such a config predicts: 'label' or 'style'."""
  return config.objective.get('target', 'label')


def cache_path(data, target: str = 'label') -> Path:
  """The file in the user's cache that names the judge of such data, by its labels or styles."""
  form = f'-{data.size}' * bool(data.size) + f'-{data.channels}c' * bool(data.channels)
  for chosen in filter(None, (data.get('field'), data.get('label'))):
    form += '-' + re.sub(r'\W', '_', chosen)
  path = os.path.expanduser(data.name)
  if is_path(data.name) and not is_tfds(path):  # many folders are called data
    form += f'-{digest(os.path.realpath(path))[:8]}'
  if styles := settings.styles(data):
    form += f'-{styles}_styles' + f'-{target}' * (target != 'label')
  return cache_folder('judges') / f'{dataset_name(data)}{form}.json'


def better_judge(path: Path, value: float, example: Example) -> str | None:
  """The workdir of the cached judge if it takes the same images, is better and can be read."""
  try:
    entry = read_entry(path)
    better = entry['value'] > value and open_cached(path).example == example
    return entry['workdir'] if better else None
  except UserError:
    return None


def read_entry(path: Path) -> dict:
  """The cache's entry for a judge. Raises UserError."""
  entry = read_json(path)
  kinds = {'workdir': str, 'value': float, 'checksum': str}
  if not isinstance(entry, dict) or any(type(entry.get(k)) is not t for k, t in kinds.items()):
    raise UserError(f'{path} is damaged. Train the judge again')
  return entry


def open_cached(path: Path) -> TrainedRun:
  """The judge that the cache names. Raises UserError if it is no longer the one that was kept."""
  entry = read_entry(path)
  try:
    run = open_judge(Path(entry['workdir']))
  except UserError as error:
    raise UserError(f'{path} names a judge that cannot be read ({error}). Train it again') from None
  if checksum(run) != entry['checksum']:
    raise UserError(
      f'{entry["workdir"]} has changed since {path} named it as a judge. Run its command again'
    )
  return run


def open_judge(folder: Path, log: Callable[[str], None] = lambda text: None) -> TrainedRun:
  """The run of a judge, at its best checkpoint if it has one. Raises UserError."""
  best = workdir.read_config(folder).config.checkpoint.best
  device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  run = open_run(folder, log, 'best' if best else 'latest', device)
  if 'classify' not in run.method.predict:
    raise UserError(f'{folder} is a run of {run.config.method}, which does not classify')
  return run


def checksum(run: TrainedRun) -> str:
  """SHA-256 of the parameters that a run is evaluated with."""
  leaves = checkpoint.named_leaves(averaged(run.state))
  return checkpoint.digest({name: np.asarray(leaf) for name, leaf in leaves.items()})
