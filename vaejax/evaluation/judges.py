"""Judges: trained runs that classify, which evals ask about samples.

A judge is the workdir of its run. The user's cache names the best one of each dataset, and holds
what it makes of its own data.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import zipfile
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from vaejax.core.passes import gather
from vaejax.data import load, sets
from vaejax.data.styles import STYLES
from vaejax.errors import UserError
from vaejax.metrics.frechet import Moments, moments
from vaejax.runs import checkpoint, trained, workdir
from vaejax.runs.files import read_json, write_atomic, write_json
from vaejax.types import Example, Method, Variables, averaged

ROWS, METRIC = 500, 'accuracy'  # rows at once; what a better judge has more of


class Judge(NamedTuple):
  """A classifier and what it has seen.

  Attributes:
    name: of its dataset: 'mnist'.
    example: of the images that it takes, with their range.
    method, variables: `method.predict['classify']` is what it says.
    accuracy: on the rows of its test split that have a label.
    checksum: SHA-256 of its parameters.
    read: the test split: 'mnist/3.0.1 test, 10000 rows'.
    train, test: moments of its features of those splits.
    shares: of the classes that it finds in the test split, [classes].
    target: the field that it reads, 'label' or 'style'.
  """

  name: str
  example: Example
  method: Method
  variables: Variables
  accuracy: float
  checksum: str
  read: str
  train: Moments
  test: Moments
  shares: np.ndarray
  target: str = 'label'


def title(data) -> str:
  """What a dataset is called, as part of a name."""
  return re.sub(r'\W', '_', sets.title(data.name).strip('/')) or 'data'


def reads(config) -> str:
  """The field that the judge of such a config reads: 'label' or 'style'."""
  return config.objective.get('target', 'label')


def cached(data, target: str = 'label') -> Path:
  """Where the judge of such data is kept, in the user's cache: of their labels or their styles."""
  home = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
  fitted = f'-{data.size}' * bool(data.size) + f'-{data.channels}c' * bool(data.channels)
  if styles := load.styles(data):
    fitted += f'-{styles}_styles' + f'-{target}' * (target != 'label')
  return Path(home) / 'vaejax' / 'judges' / f'{title(data)}{fitted}.json'


def keep(folder: Path, say=print) -> None:
  """Makes a finished run the judge of its dataset, unless the cache names one that is better by
  METRIC on its validation split and can still be read. Raises UserError."""
  run, steps = opened(folder, say), checkpoint.steps(folder)
  place, name = cached(run.config.data, reads(run.config)), title(run.config.data)
  named = f'name it by eval.judge.workdir={folder}'
  step = int(run.state.step)
  found = checkpoint.read_meta(folder, step)['metrics'] if step in steps else []
  if 'validation' not in workdir.read_config(folder).data or METRIC not in (found or [{}])[0]:
    say(f'no judge of {name}: it takes the {METRIC} on a validation split, see data.validation')
    return
  value = found[0][METRIC]
  about = {'workdir': str(folder.absolute()), 'metric': METRIC, 'value': value}
  try:
    if better(place, value, run.example) and kept(place)['workdir'] != about['workdir']:
      say(f'{place} names a judge with a better {METRIC}, which stays; {named}')
      return
    place.parent.mkdir(parents=True, exist_ok=True)
    write_json(place, about | {'checksum': checksum(run)})
    say(f'judge of {name}, {METRIC} {value:.4g} on its validation split: {place}')
  except OSError as error:
    say(f'cannot keep the judge in {place.parent} ({error.strerror}): {named}')


def better(place: Path, value: float, example: Example) -> bool:
  """Whether the cache names a judge of the same images that is better and can be read."""
  try:
    about = kept(place)
    return about['value'] > value and checked(about, place).example == example
  except UserError:
    return False


def kept(place: Path) -> dict:
  """What the cache says of a judge. Raises UserError."""
  about = read_json(place)
  kinds = {'workdir': str, 'value': float, 'checksum': str}
  if not isinstance(about, dict) or any(type(about.get(k)) is not t for k, t in kinds.items()):
    raise UserError(f'{place} is damaged: train the judge again')
  return about


def checked(about: dict, place: Path) -> trained.TrainedRun:
  """The run that the cache names. Raises UserError where it is not the one that was kept."""
  try:
    run = opened(Path(about['workdir']))
  except UserError as error:
    raise UserError(f'{place} names a judge that cannot be read ({error}): train one') from None
  if checksum(run) != about['checksum']:
    raise UserError(
      f'{about["workdir"]} is no longer the judge that {place} names: run its command again'
    )
  return run


def opened(folder: Path, say=lambda text: None) -> trained.TrainedRun:
  """The run of a judge, at its best checkpoint where it has one. Raises UserError."""
  best = workdir.read_config(folder).config.checkpoint.best
  place = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
  run = trained.open_run(folder, say, 'best' if best else 'latest', place)
  if 'classify' not in run.method.predict:
    raise UserError(f'{folder} is a run of {run.config.method}, which classifies nothing')
  return run


def checksum(run: trained.TrainedRun) -> str:
  """SHA-256 of the parameters that a run is evaluated with."""
  return digest({k: np.asarray(x) for k, x in checkpoint.named_leaves(averaged(run.state)).items()})


def look(
  run: trained.TrainedRun, variables: Variables, split: str
) -> tuple[Moments, np.ndarray, float]:
  """Moments of the features of a split, the shares of the classes found in it, and the accuracy on
  the rows that have a label."""
  _, source = trained.open_split(run, split, None)

  def classify(batch):
    said = run.method.predict['classify'](variables, batch, jax.random.key(0))
    label = batch[reads(run.config)]
    return {'logits': said['logits'], 'features': said['features'], 'label': label}

  total, products, found, right, known = 0.0, 0.0, 0.0, 0.0, 0.0
  for said in gather(classify, source, ROWS):
    features, top = said['features'].astype(np.float64), said['logits'].argmax(-1)
    total, products = total + features.sum(0), products + features.T @ features
    found = found + np.bincount(top, minlength=said['logits'].shape[-1])
    right += float((top == said['label']).sum())
    known += float((said['label'] >= 0).sum())
  return moments(source.size, total, products), found / source.size, right / max(known, 1.0)


def digest(arrays: dict[str, np.ndarray]) -> str:
  """SHA-256 of named arrays, as hexadecimal digits."""
  found = hashlib.sha256()
  for name in sorted(arrays):
    found.update(f'{name} {checkpoint.dtype_and_shape(arrays[name])};'.encode())
    found.update(np.ascontiguousarray(arrays[name]).tobytes())
  return found.hexdigest()


def find(named: str, data, target: str = 'label') -> Judge:
  """The judge in a workdir that is named, else the cached one of such data. Raises UserError."""
  word = ''
  if named:
    path, train = Path(os.path.expanduser(named)), 'configs/judge.py:DATASET'
    run = opened(path)
  else:
    word = '' if not load.styles(data) else ',content' if target == 'label' else ',style'
    path, train = cached(data, target), f'configs/judge.py:{data.name}{word}'
    if not path.is_file():
      raise UserError(
        f'there is no judge of {data.name}{word and " by " + word[1:]}: train one with python '
        f'launch.py train --config={train} --workdir=runs/judge{word.replace(",", "-")}'
      )
    run = checked(kept(path), path)
  field, styles = reads(run.config), len(STYLES.get(load.styles(data), ()))
  if (field, run.example.styles) != (target, styles):
    shown = lambda field, count: f'the {field} of images in {count} styles'
    raise UserError(
      f'{path} reads {shown(field, run.example.styles)}, where one is wanted that reads '
      f'{shown(target, styles)}: train it with --config={train}'
    )
  return build(run)


def build(run: trained.TrainedRun) -> Judge:
  """The judge that a run is, with what it makes of its own data."""
  rows, _ = trained.open_split(run, 'test', None)
  arrays = seen(run)
  of = lambda split: Moments(arrays[f'{split}/mean'], arrays[f'{split}/covariance'])
  return Judge(
    name=title(run.config.data),
    example=run.example,
    method=run.method,
    variables=jax.device_get(averaged(run.state)),
    accuracy=float(arrays['accuracy']),
    checksum=checksum(run),
    read=f'{rows.origin}, {rows.size} rows',
    train=of('train'),
    test=of('test'),
    shares=arrays['shares'],
    target=reads(run.config),
  )


def seen(run: trained.TrainedRun) -> dict[str, np.ndarray]:
  """What a judge makes of its own splits: from the cache, where it was asked before about the same
  data with the same parameters."""
  tables = [trained.open_split(run, split, None)[0] for split in ('train', 'test')]
  about = [checksum(run), run.config.data.to_json_best_effort(), *map(workdir.provenance, tables)]
  name = hashlib.sha256(json.dumps(about).encode()).hexdigest()
  path = cached(run.config.data).with_name('seen') / f'{name}.npz'
  with contextlib.suppress(OSError, EOFError, ValueError, LookupError, zipfile.BadZipFile):
    with np.load(path, allow_pickle=False) as file:
      arrays = {key: file[key] for key in file.files}
    if arrays.pop('checksum').tobytes().decode() == digest(arrays):
      return arrays
  arrays, variables = {}, averaged(run.state)
  for split in ('train', 'test'):
    found, shares, accuracy = look(run, variables, split)
    arrays |= {f'{split}/mean': found.mean, f'{split}/covariance': found.covariance}
  arrays |= {'shares': np.asarray(shares), 'accuracy': np.asarray(accuracy)}
  buffer = io.BytesIO()
  np.savez(buffer, **arrays, checksum=np.frombuffer(digest(arrays).encode(), np.uint8))
  with contextlib.suppress(OSError):  # a cache that cannot be written costs time, no more
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, buffer.getvalue())
  return arrays
