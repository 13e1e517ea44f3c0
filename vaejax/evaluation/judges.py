"""Judges: trained classifiers that evals apply to samples.

A judge is the workdir of its run. The user's cache names the best judge of each dataset, and holds
statistics of the judge's own data.
"""

import contextlib
import hashlib
import io
import json
import math
import os
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from vaejax.core.passes import map_examples
from vaejax.data import sets, settings, sources
from vaejax.data.cache import cache_folder
from vaejax.data.cached import digest
from vaejax.data.paths import is_path, is_tfds
from vaejax.data.styles import STYLES
from vaejax.errors import UserError
from vaejax.metrics.frechet import Moments, moments
from vaejax.runs import checkpoint, same_data, workdir
from vaejax.runs.files import read_json, write_atomic, write_json
from vaejax.runs.trained import TrainedRun, open_run, open_split
from vaejax.types import Example, Method, Variables, averaged

BATCH = 500  # examples that are classified at once
METRIC = 'accuracy'  # by which judges are compared


class Judge(NamedTuple):
  """A classifier, and statistics of the data that it was trained on.

  Attributes:
    name: of its dataset, for example 'mnist'.
    example: the form and range of the images that it accepts.
    method, variables: `method.predict['classify']` classifies images.
    accuracy: on the labelled rows of its test split; None if it has none.
    checksum: SHA-256 of its parameters.
    read: its test split, for example 'mnist/3.0.1 test, 10000 rows'.
    train, test: moments of its features of these splits.
    shares: proportions of the classes that it predicts on the test split, [classes].
    target: the field that it predicts, 'label' or 'style'.
  """

  name: str
  example: Example
  method: Method
  variables: Variables
  accuracy: float | None
  checksum: str
  read: str
  train: Moments
  test: Moments
  shares: np.ndarray
  target: str = 'label'


def find(path: str, data, target: str = 'label') -> Judge:
  """The judge in a workdir, or, for path '', the cached judge of the data. Raises UserError."""
  if path:
    origin, config = Path(os.path.expanduser(path)), 'configs/judge.py:DATASET'
    run = open_judge(origin)
  else:
    word = '' if not settings.styles(data) else ',content' if target == 'label' else ',style'
    origin, config = cache_path(data, target), f'configs/judge.py:{data.name}{word}'
    if not origin.is_file():
      raise UserError(
        f'there is no judge of {data.name}{word and " by " + word[1:]}. Train one with python '
        f'launch.py train --config={config} --workdir=runs/judge{word.replace(",", "-")}'
      )
    run = open_cached(origin)
  predicts = predicted_field(run.config), run.example.styles
  needed = target, len(STYLES.get(settings.styles(data), ()))
  if predicts != needed:
    describe = lambda field, styles: f'the {field} of images in {styles} styles'
    raise UserError(
      f'{origin} predicts {describe(*predicts)}, but a judge of {describe(*needed)} is needed. '
      f'Train one with --config={config}'
    )
  return make_judge(run)


def keep(folder: Path, log: Callable[[str], None] = print) -> None:
  """Makes a finished run the judge of its dataset, unless the cache names a better one.

  Better is a higher METRIC on the validation split. Raises UserError.
  """
  run, dataset = open_judge(folder, log), workdir.read_config(folder)
  path, name = (
    cache_path(run.config.data, predicted_field(run.config)),
    dataset_name(run.config.data),
  )
  step = int(run.state.step)
  available = step in checkpoint.steps(folder)
  metrics = checkpoint.read_meta(folder, step)['metrics'] if available else []
  target = predicted_field(run.config)
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


def make_judge(run: TrainedRun) -> Judge:
  """The judge of a trained run, with the statistics of its data."""
  table, _ = open_split(run, 'test')
  arrays = cached_statistics(run)
  moments_of = lambda split: Moments(arrays[f'{split}/mean'], arrays[f'{split}/covariance'])
  return Judge(
    name=dataset_name(run.config.data),
    example=run.example,
    method=run.method,
    variables=jax.device_get(averaged(run.state)),
    accuracy=None if np.isnan(arrays['accuracy']) else float(arrays['accuracy']),
    checksum=checksum(run),
    read=f'{table.origin}, {table.size} rows',
    train=moments_of('train'),
    test=moments_of('test'),
    shares=arrays['shares'],
    target=predicted_field(run.config),
  )


def cached_statistics(run: TrainedRun) -> dict[str, np.ndarray]:
  """Statistics of a judge's own splits, from the cache if the data and parameters are the same."""
  tables = {split: open_split(run, split)[0] for split in ('train', 'test')}
  now = {split: workdir.provenance(table) for split, table in tables.items()}
  saved = {split: run.data[split] for split in now if split in run.data}
  changes = same_data.changes(saved, tables, now) if saved.keys() == now.keys() else ()
  if other := [change.words for change in changes if change.kind == 'other']:
    raise UserError(
      f'the data of the judge {run.folder} is no longer what it was trained on ({other[0]}). Put '
      'it back, or train the judge again'
    )
  key = [checksum(run), run.config.data.to_json_best_effort(), *now.values()]
  name = hashlib.sha256(json.dumps(key).encode()).hexdigest()
  path = cache_path(run.config.data).with_name('statistics') / f'{name}.npz'
  with contextlib.suppress(OSError, EOFError, ValueError, LookupError, zipfile.BadZipFile):
    with np.load(path, allow_pickle=False) as file:
      arrays = {key: file[key] for key in file.files}
    if arrays.pop('checksum').tobytes().decode() == checkpoint.digest(arrays):
      return arrays
  arrays = {}
  for split in ('train', 'test'):
    features, shares, accuracy = classify_split(run, split)
    arrays |= {f'{split}/mean': features.mean, f'{split}/covariance': features.covariance}
  arrays |= {'shares': np.asarray(shares), 'accuracy': np.asarray(accuracy)}
  buffer = io.BytesIO()
  check = np.frombuffer(checkpoint.digest(arrays).encode(), np.uint8)
  np.savez(buffer, **arrays, checksum=check)
  with contextlib.suppress(OSError):  # a cache that cannot be written only costs time
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, buffer.getvalue())
  return arrays


def classify_split(run: TrainedRun, split: str) -> tuple[Moments, np.ndarray, float]:
  """Moments of a judge's features of a split, the proportions of the classes that it predicts, and
  its accuracy on the labelled rows, NaN if there are none."""
  _, source = open_split(run, split)
  field, variables = predicted_field(run.config), averaged(run.state)

  def classify(batch):
    output = run.method.predict['classify'](variables, batch, jax.random.key(0))
    return {'logits': output['logits'], 'features': output['features'], 'label': batch[field]}

  total, products, counts, correct, labelled = 0.0, 0.0, 0.0, 0.0, 0.0
  for rows in map_examples(classify, source, BATCH):
    features, predicted = rows['features'].astype(np.float64), rows['logits'].argmax(-1)
    total, products = total + features.sum(0), products + features.T @ features
    counts = counts + np.bincount(predicted, minlength=rows['logits'].shape[-1])
    correct += float((predicted == rows['label']).sum())
    labelled += float((rows['label'] >= 0).sum())
  accuracy = correct / labelled if labelled else math.nan
  return moments(source.size, total, products), counts / source.size, accuracy
