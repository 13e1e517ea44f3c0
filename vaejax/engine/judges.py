"""Judges: trained classifiers, each in one file with its config, its checksum, and what it makes of
the data that it was trained on. A file holds arrays and JSON, and nothing is unpickled."""

import hashlib
import io
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from vaejax import configuration
from vaejax.data import load, sets
from vaejax.data.styles import STYLES
from vaejax.engine import checkpoint, opening, workdir
from vaejax.engine.evaluate import gather
from vaejax.engine.files import write_atomic
from vaejax.errors import UserError
from vaejax.evals.frechet import Moments, moments
from vaejax.types import Example, Method, Variables, averaged, zeros

FILE, ROWS = 'judge.npz', 500

# What a file that is not whole, or not one of ours, leads to.
DAMAGE = (OSError, EOFError, MemoryError, zipfile.BadZipFile, NotImplementedError)


class Judge(NamedTuple):
  """A classifier and what it has seen.

  Attributes:
    name: of its dataset: 'mnist'.
    example: of the images that it takes, with their range.
    method, variables: `method.predict['classify']` is what it says.
    accuracy: on its test split.
    checksum: SHA-256 of all that its file holds.
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


def target(config) -> str:
  """The field that the judge of such a config reads: 'label' or 'style'."""
  return config.objective.get('target', 'label')


def cached(data, target: str = 'label') -> Path:
  """Where the judge of such data is kept, in the user's cache: of their labels or their styles."""
  home = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
  fitted = f'-{data.size}' * bool(data.size) + f'-{data.channels}c' * bool(data.channels)
  if styles := load.styles(data):
    fitted += f'-{styles}_styles' + f'-{target}' * (target != 'label')
  return Path(home) / 'vaejax' / 'judges' / f'{title(data)}{fitted}.npz'


def keep(folder: Path, say=print) -> Path:
  """Writes the newest checkpoint of a classifier's run as a judge, into its workdir and into the
  cache, unless a more accurate one is there. Returns the path in the workdir. Raises UserError."""
  run = opening.open_run(folder, say)
  saved, variables = workdir.read_config(folder), averaged(run.state)
  arrays = {f'variables/{path}': np.asarray(x) for path, x in checkpoint.leaves(variables).items()}
  seen = {s: look(run, variables, s) for s in ('train', 'test')}
  for split, (found, _, _) in seen.items():
    arrays |= {f'{split}/mean': found.mean, f'{split}/covariance': found.covariance}
  arrays['shares'] = seen['test'][1]
  about = {
    **workdir.described(saved),
    'step': int(run.state.step),
    'accuracy': seen['test'][2],
  }
  arrays['about'] = np.frombuffer(json.dumps(about, sort_keys=True).encode(), np.uint8)
  buffer = io.BytesIO()
  np.savez(buffer, **arrays, checksum=np.frombuffer(checksum(arrays).encode(), np.uint8))
  write_atomic(folder / FILE, buffer.getvalue())
  place = cached(run.config.data, target(run.config))
  try:
    if better(place, about['accuracy'], run.example):
      say(f'{place} is a more accurate judge and stays: name this one with --judge={folder}')
    else:
      place.parent.mkdir(parents=True, exist_ok=True)
      write_atomic(place, buffer.getvalue())
      right = f'{about["accuracy"]:.1%} of its test split right'
      say(f'judge of {title(run.config.data)}, {right}: {place}')
  except OSError as error:
    say(f'cannot keep the judge in {place.parent} ({error.strerror}): name it, --judge={folder}')
  return folder / FILE


def better(path: Path, accuracy: float, example: Example) -> bool:
  """Whether a judge of the same images is there that is more accurate."""
  try:
    judge = read(path)
  except UserError:
    return False
  return judge.accuracy > accuracy and judge.example == example


def look(run: opening.Run, variables: Variables, split: str) -> tuple[Moments, np.ndarray, float]:
  """Moments of the features of a split, the shares of the classes found in it, the accuracy."""
  source = load.test(run.config.data, load.table(run.config.data, split, run.data_dir))

  def classify(batch):
    said = run.method.predict['classify'](variables, batch, jax.random.key(0))
    label = batch[target(run.config)]
    return {'logits': said['logits'], 'features': said['features'], 'label': label}

  total, products, found, right = 0.0, 0.0, 0.0, 0.0
  for said in gather(classify, source, ROWS):
    features, top = said['features'].astype(np.float64), said['logits'].argmax(-1)
    total, products = total + features.sum(0), products + features.T @ features
    found = found + np.bincount(top, minlength=said['logits'].shape[-1])
    right += float((top == said['label']).sum())
  return moments(source.size, total, products), found / source.size, right / source.size


def checksum(arrays: dict[str, np.ndarray]) -> str:
  """SHA-256 of named arrays, as hexadecimal digits."""
  digest = hashlib.sha256()
  for name in sorted(arrays):
    digest.update(f'{name} {checkpoint.form(arrays[name])};'.encode())
    digest.update(np.ascontiguousarray(arrays[name]).tobytes())
  return digest.hexdigest()


def find(named: str | None, data, target: str = 'label') -> Judge:
  """The judge in a workdir (or file) that was named, else the cached one of such data. Raises
  UserError."""
  word = ''
  if named is None:
    word = '' if not load.styles(data) else ',content' if target == 'label' else ',style'
    path, train = cached(data, target), f'configs/judge.py:{data.name}{word}'
    missing = f'there is no judge of {data.name}{word and " by " + word[1:]}'
  else:
    path, train = Path(os.path.expanduser(named)), 'configs/judge.py:DATASET'
    path = path / FILE if path.is_dir() else path
    missing = f'--judge={named} holds no judge that was trained to its end'
  if not path.is_file():
    raise UserError(
      f'{missing}: train one with python launch.py train --config={train} '
      f'--workdir=runs/judge{word.replace(",", "-")}'
    )
  judge, styles = read(path), len(STYLES.get(load.styles(data), ()))
  if (judge.target, judge.example.styles) != (target, styles):
    seen = lambda field, count: f'the {field} of images in {count} styles'
    raise UserError(
      f'{path} reads {seen(judge.target, judge.example.styles)}, where one is wanted that reads '
      f'{seen(target, styles)}: train it with --config={train}'
    )
  return judge


def read(path: Path) -> Judge:
  """The judge in a file. Raises UserError where it is not whole."""
  try:
    with np.load(path, allow_pickle=False) as file:
      arrays = {name: file[name] for name in file.files}
    digest = arrays.pop('checksum').tobytes().decode()
    if digest != checksum(arrays):
      raise UserError('it differs from its checksum')
    return build(json.loads(arrays.pop('about').tobytes()), arrays, digest)
  except (*DAMAGE, *workdir.WRONG) as error:
    reason = workdir.describe(error)
  raise UserError(f'{path} is not a judge, or damaged ({reason}): train it again')


def build(about: dict[str, Any], arrays: dict[str, np.ndarray], digest: str) -> Judge:
  """The judge of what its file holds. Raises UserError and those of workdir.WRONG."""
  config = configuration.restore(about['config'])
  example = workdir.read_example(about['example'])
  method = workdir.make_method(config, example)
  like = jax.eval_shape(lambda: method.init(jax.random.key(0), zeros(example, 1)))

  def leaf(path, wanted):
    name = f'variables/{jax.tree_util.keystr(path, simple=True, separator="/")}'
    if checkpoint.form(arrays[name]) != checkpoint.form(wanted):
      raise UserError(f'{name} should be {checkpoint.form(wanted)}')
    return arrays[name]

  seen = {s: Moments(arrays[f'{s}/mean'], arrays[f'{s}/covariance']) for s in ('train', 'test')}
  numbers = [*seen['train'], *seen['test'], arrays['shares']]
  if 'classify' not in method.predict or not all(np.isfinite(n).all() for n in numbers):
    raise UserError('it is no classifier, or what it saw is not in numbers')
  data = about['data']['test']
  return Judge(
    name=title(config.data),
    example=example,
    method=method,
    variables=jax.tree_util.tree_map_with_path(leaf, like),
    accuracy=float(about['accuracy']),
    checksum=digest,
    read=f'{data["read"]}, {data["rows"]} rows',
    shares=arrays['shares'],
    target=target(config),
    **seen,
  )
