"""Classify pictures: the probability of every class, and whether it can be trusted.

A run with a classifier (a joint head, or a semi-supervised model) gives p(y|x) itself. For a run
that is conditioned on the label it follows by Bayes' rule, p(y|x) ~ p(x|y) p(y), with a bound of
log p(x|y) by draws of the latents (Kingma et al. 2014, arXiv:1406.5298, section 2).

On held-out rows: accuracy, the negative log-likelihood in nats of the true class, and the expected
calibration error (Guo et al. 2017, arXiv:1706.04599) with a reliability diagram. The baselines are
the most frequent class of the training split with the classes' frequencies as probabilities, and,
if scikit-learn is installed, a logistic regression on the pixels of training rows.
"""

import csv
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vaejax.errors import UserError
from vaejax.inference import by_class
from vaejax.metrics.calibration import (
  BINS,
  difference,
  expected_calibration_error,
  reliability,
)
from vaejax.reporting import previews
from vaejax.reporting.charts import reliability_chart
from vaejax.runs.files import write_atomic
from vaejax.task_type import Pictures, Result, Score, Setting

SETTINGS = {
  'class_prior': Setting(
    'frequencies',
    'p(y) of a run that is conditioned on the label: frequencies of the training rows, or uniform',
    ('frequencies', 'uniform'),
  ),
  'bound': Setting('importance', 'bound of log p(x|y) of such a run', by_class.BOUNDS),
  'draws': Setting(16, 'draws of the latents of such a run, for each class', low=1),
  'bins': Setting(BINS, 'bins of the calibration error', low=1, high=1000),
}
ENDINGS = {'.csv': ''}
ROWS = 10_000  # default of --n
AT_ONCE = 512  # pictures between two steps of progress
SHOWN = 12  # pictures of each class in the picture
MAX_ROWS, MAX_ELEMENTS = 60_000, 2**28  # training rows of the logistic regression, and their pixels
FREQUENT, LOGISTIC = 'most frequent class', 'logistic regression'
TINY = np.finfo(np.float32).tiny  # the smallest probability that a likelihood is computed of


def run(model, pictures: Pictures, settings, seed: int, progress: Callable[[int, int], None]):
  """Returns the probabilities as `arrays`, a CSV file of predictions, and scores if the pictures
  are labelled rows that are held out."""
  bayes = 'classify' not in model.method.predict
  if bayes and not by_class.applies(model.method):
    raise UserError(
      f'a run of {model.config.method} cannot classify: it has no classifier, and its densities '
      'are not given the label. Train one of configs/cvae.py, m2.py or judge.py'
    )
  target = model.config.get('objective', {}).get('target', 'label')
  names = model.example.class_names if target == 'label' else ()
  label = pictures.fields.get(target)
  scored = pictures.held_out and label is not None and bool((label >= 0).any())
  needs_labels = scored or (bayes and settings['class_prior'] == 'frequencies')
  train = training_labels(pictures, target) if needs_labels else None
  given, protocol = {}, {'classes': 'classifier of the run'}
  if bayes:
    given = {name: settings[name] for name in ('bound', 'draws')}
    if settings['class_prior'] == 'frequencies':
      given['class_prior'] = frequencies(train, model.example.classes)
    protocol['classes'] = f"Bayes' rule, log p(x|y) by {settings['bound']}"
  probability = probabilities(model, pictures.image, given, seed, progress)
  classes = probability.shape[1]
  names = names or tuple(map(str, range(classes)))
  files = {'.csv': lambda path, command: write_predictions(path, pictures, probability, names)}
  output = {'arrays': {'probability': probability}, 'files': files}
  if not scored:
    shown = previews.shown(pictures.image, model.example)
    return Result(rows=by_prediction(shown, probability, names), **output)
  here = label >= 0
  truth, image = label[here], pictures.image[here]
  every = {'': probability[here], FREQUENT: np.tile(frequencies(train, classes), (len(truth), 1))}
  if (fitted := logistic(model, pictures, train, image, target, classes)) is not None:
    every[LOGISTIC], protocol['logistic'] = fitted
  protocol |= {'bins': settings['bins'], 'binning': 'equal width', 'labelled': len(truth)}
  diagrams = {
    name or 'this run': reliability(p.max(1), p.argmax(1) == truth, settings['bins'])
    for name, p in every.items()
    if name != FREQUENT
  }
  scores = score(every, truth, settings['bins'])
  picture = reliability_chart(diagrams, f'calibration error {scores["ece"].ours.value:.4f}')
  return Result(picture=picture, scores=scores, protocol=protocol, **output)


def probabilities(model, image, given, seed, progress) -> np.ndarray:
  """p(y|x) of images [N, ...], [N, classes], in parts with draws of their own."""
  seeds = np.random.SeedSequence(seed).generate_state(-(-len(image) // AT_ONCE))
  parts = []
  for part, part_seed in enumerate(seeds):
    first = part * AT_ONCE
    settings = {**given, 'seed': int(part_seed)} if given else {}
    parts.append(model.classify(image[first : first + AT_ONCE], **settings))
    progress(min(first + AT_ONCE, len(image)), len(image))
  return np.concatenate(parts)


def training_labels(pictures: Pictures, target: str = 'label') -> np.ndarray:
  """The labels of the training split, [N], -1 for none. Raises UserError without any."""
  parts = [part[target] for part in pictures.train(None) if target in part]
  labels = np.concatenate(parts) if parts else np.zeros(0, np.int32)
  if not (labels >= 0).any():
    raise UserError(
      'the training rows have no labels, which the frequencies of classes need. '
      'Use --class_prior=uniform and pictures from --inputs'
    )
  return labels


def frequencies(labels: np.ndarray, classes: int) -> np.ndarray:
  """The share of each class among the labelled rows, [classes]."""
  count = np.bincount(labels[labels >= 0], minlength=classes)
  return count / count.sum()


def score(every: dict[str, np.ndarray], truth: np.ndarray, bins: int) -> dict[str, Score]:
  """The scores of {'': p(y|x) [N, classes] of the run, baseline: its} for true classes [N]."""
  rows = np.arange(len(truth))
  metrics = {
    'accuracy': (lambda p: (p.argmax(1) == truth).astype(np.float64), 'higher'),
    'log_loss': (lambda p: -np.log(np.maximum(p[rows, truth], TINY).astype(np.float64)), 'lower'),
  }
  scores = {}
  for name, (metric, better) in metrics.items():
    values = {of: metric(p) for of, p in every.items()}
    scores[name] = Score(values.pop(''), values, better)
  if LOGISTIC in every:  # constant predictions are calibrated, but carry no information
    every = {of: p for of, p in every.items() if of != FREQUENT}
  predictions = {of: (p.max(1), p.argmax(1) == truth) for of, p in every.items()}
  values = {of: expected_calibration_error(*x, bins) for of, x in predictions.items()}
  ours = predictions.pop('')
  pairs = {of: difference(ours, other, bins) for of, other in predictions.items()}
  return scores | {'ece': Score(values.pop(''), values, 'lower', pairs)}


def logistic(model, pictures, train, image, target, classes) -> tuple[np.ndarray, str] | None:
  """Probabilities [N, classes] of images by a logistic regression on pixels, and its protocol;
  None without scikit-learn, or if the training rows have one class."""
  try:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
  except ImportError:
    return None
  limit = max(1, min(MAX_ROWS, MAX_ELEMENTS // image[0].size))
  index = chosen_rows(train, model.config.data.get('labels', 0), limit)
  if len(np.unique(train[index])) < 2:
    return None
  x = np.concatenate(list(rows_at(pictures.train(None), index, model.example.data)))
  fit = LogisticRegression(max_iter=100)
  with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always', ConvergenceWarning)
    fit.fit(x.reshape(len(x), -1), train[index])
  stopped = any(issubclass(w.category, ConvergenceWarning) for w in caught)
  probability = np.zeros((len(image), classes))
  probability[:, fit.classes_] = fit.predict_proba(image.reshape(len(image), -1))
  how = 'stopped after 100 iterations' if stopped else f'{int(np.max(fit.n_iter_))} iterations'
  return probability, f'pixels of {len(x)} training rows, C = 1, L-BFGS, {how}'


def chosen_rows(labels: np.ndarray, budget: int, limit: int) -> np.ndarray:
  """The labelled rows that a baseline is fitted to, in order: with a `budget` of labels the first
  budget / classes of each class, else all, or `limit` evenly spaced ones."""
  index = np.flatnonzero(labels >= 0)
  if budget:
    known = np.unique(labels[index])
    firsts = [index[labels[index] == k][: budget // len(known)] for k in known]
    index = np.sort(np.concatenate(firsts))
  return index[np.unique(np.linspace(0, len(index) - 1, min(limit, len(index))).astype(int))]


def rows_at(parts, index: np.ndarray, field: str):
  """Yields the rows at the sorted `index` of a field of parts {field: [B, ...]}."""
  first = 0
  for part in parts:
    here = index[(index >= first) & (index < first + len(part[field]))] - first
    yield part[field][here]
    first += len(part[field])


def by_prediction(image, probability, names) -> list[tuple[str, np.ndarray]]:
  """A row of pictures for each class that is predicted, the most certain first."""
  best, rows = probability.argmax(1), []
  for k in np.unique(best):
    order = sorted(np.flatnonzero(best == k), key=lambda i: -probability[i, k])[:SHOWN]
    low, high = probability[order[-1], k], probability[order[0], k]
    share = f'{high:.0%}' if f'{low:.0%}' == f'{high:.0%}' else f'{high:.0%} to {low:.0%}'
    rows.append((f'{names[k]}\n{share}', image[order]))
  return rows


def write_predictions(path: Path, pictures: Pictures, probability, names: tuple[Any, ...]) -> None:
  """Writes a line for each picture: its file or index, the predicted class, all probabilities."""
  text = io.StringIO()
  writer = csv.writer(text, lineterminator='\n')
  writer.writerow(['file' if pictures.names else 'index', 'prediction', *names])
  keys = pictures.names or range(len(probability))
  for key, p in zip(keys, probability, strict=True):
    writer.writerow([key, names[int(p.argmax())], *(f'{value:.6g}' for value in p)])
  write_atomic(path, text.getvalue().encode('utf-8', 'surrogateescape'))
