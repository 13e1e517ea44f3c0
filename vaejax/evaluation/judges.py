"""Judges: trained classifiers that evals apply to samples, with statistics of their own data.

A judge is the workdir of its run, or the one that the user's cache names (see judge_cache.py).
"""

import contextlib
import hashlib
import io
import json
import math
import os
import zipfile
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from vaejax.core.passes import map_examples
from vaejax.data import settings, sources
from vaejax.data.device.styles import STYLES
from vaejax.errors import UserError
from vaejax.evaluation.judge_cache import (
  cache_path,
  checksum,
  dataset_name,
  open_cached,
  open_judge,
  predicted_field,
)
from vaejax.metrics.frechet import Moments, moments
from vaejax.runs import checkpoint, same_data, workdir
from vaejax.runs.files import write_atomic
from vaejax.runs.trained import TrainedRun, open_split
from vaejax.types import Example, Method, Variables, averaged

BATCH = 500  # examples that are classified at once


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
    labelled: the number of labelled rows of its test split.
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
  labelled: int = 0


def find(path: str, data, target: str = 'label', labelled: bool = True) -> Judge:
  """The judge in a workdir, or, for path '', the cached judge of the data. Raises UserError; its
  text says how to train one if the data is `labelled`."""
  if path:
    origin, config = Path(os.path.expanduser(path)), 'configs/judge.py:DATASET'
    run = open_judge(origin)
  else:
    word = '' if not settings.styles(data) else ',content' if target == 'label' else ',style'
    origin, config = cache_path(data, target), f'configs/judge.py:{data.name}{word}'
    if not origin.is_file() and not labelled:
      raise UserError(
        f'there is no judge of {data.name}, and no labels to train one with. Label its rows'
      )
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


def make_judge(run: TrainedRun) -> Judge:
  """The judge of a trained run, with the statistics of its data."""
  try:
    table, _ = open_split(run, 'test')
  except UserError as error:
    raise UserError(
      f'the judge {run.folder} cannot be used: {error}, or train the judge again'
    ) from None
  arrays = cached_statistics(run)
  count = sources.count_labels(run.config.data, table)
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
    labelled=count.labelled if count else table.size,
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
