"""Classes of samples, as predicted by a judge: a classifier that was trained on the dataset."""

import math

import numpy as np

from vaejax.data import classes
from vaejax.errors import UserError
from vaejax.estimates import Estimate, bootstrap, mean, proportion
from vaejax.eval_type import Eval
from vaejax.evaluation import judge_cache, judges
from vaejax.evaluation.features import check_judge, judge_row, judge_rows, pictures
from vaejax.types import Example, Method

SETTINGS = {'workdir': ''}  # of the judge; '' is the cached one

# A class is covered if its share of the samples is at least this fraction of its share of the test
# split.
COVERED = 0.1


def make(method: Method, config, example: Example) -> Eval:
  """Metrics of samples, as many as the split has rows, by the judge in `config.eval.judge.workdir`,
  or by the cached judge of the dataset.

    classes_covered: the number of classes with at least a tenth of their share in the test split.
      Classes that the judge never predicts there are left out, and `classes_absent` counts them.
    class_entropy: entropy of the proportions of predicted classes, in nats.
    confidence: mean probability of the predicted class.
    judge_accuracy: accuracy of the judge on its test split, if that has labels.

  If the method is given labels, samples are given those of the split, and for rows without one a
  uniform one:

    label_agreement: the proportion of samples that are classified as their label, averaged over
      classes; label_agreement_least: the same for the worst class.
    judge_unlabelled: the number of rows without a label, which the agreement ignores.

  Errors of the classes covered, the entropy and the worst class are by the bootstrap over samples.
  The judge always sees images in [0, 1], whatever scale or binarisation the run was trained with.

  Raises UserError for a method without samples, and for a judge that is missing, damaged, or
  trained on other images or classes.
  """
  if method.sample is None:
    raise UserError(f'the judge eval needs samples, but the method {config.method!r} has none')
  has_labels, workdir = example.classes is not None, config.eval.judge.workdir
  judge = judges.find(workdir, config.data, labelled=has_labels)
  labelled, name = 'label' in method.given, judge.name
  if labelled and name != judge_cache.dataset_name(config.data):
    raise UserError(
      f'the judge was trained on {name}, which has other labels than {config.data.name}. Give the '
      f'workdir of a judge of {config.data.name} by eval.judge.workdir=DIR'
    )
  check_judge(judge, example, 'eval.judge.workdir')
  present, covers = judge.shares > 0, COVERED * judge.shares
  absent = np.flatnonzero(~present)
  predicted, confidence = (judge_row(judge, row) for row in ('predicted', 'confidence'))

  def extract(variables, batch, key, hyper):
    rows = judge_rows(judge, pictures(batch, example))
    return {}, rows | ({'label': batch['label']} if labelled else {})

  def shares_of(of_class):
    return np.bincount(of_class, minlength=len(judge.shares)) / len(of_class)

  def covered(of_class):
    """The number of classes that samples of predicted classes [N] cover."""
    shares = shares_of(of_class)
    return float(np.sum(present & (shares >= covers) & (shares > 0)))

  def entropy(of_class):
    shares = shares_of(of_class)
    positive = shares[shares > 0]
    return float(-np.sum(positive * np.log(positive))) + 0.0

  def finish(sums, rows):
    rows = rows['samples']
    of_class = rows[predicted]

    def over_samples(statistic, most):
      return bootstrap(lambda i: statistic(of_class[i]), len(of_class), bounds=(0, most))

    number = len(judge.shares)
    metrics = {
      'classes_covered': over_samples(covered, number)._replace(interval=None),  # a whole number
      'class_entropy': over_samples(entropy, math.log(number)),
    }
    if judge.accuracy is not None:
      n = judge.labelled
      error = proportion(judge.accuracy * n, n).error if n else None
      metrics['judge_accuracy'] = Estimate(judge.accuracy, error, n=n)
    metrics |= {'classes_absent': Estimate(float(len(absent)))} if len(absent) else {}
    metrics |= agreement(of_class, rows['label']) if labelled else {}
    return metrics | {'confidence': mean(rows[confidence])}

  names = ['classes_covered', 'class_entropy']
  names += ['confidence'] + ['judge_accuracy'] * (judge.accuracy is not None)
  names += ['classes_absent'] * bool(len(absent))
  names += ['label_agreement', 'label_agreement_least', 'judge_unlabelled'] if labelled else []
  binarised = config.data.binarise
  return Eval(
    {'samples': extract},
    finish,
    lambda: names,
    {
      'judge': name,
      'judge_accuracy': judge.accuracy,
      'judge_checksum': judge.checksum[:16],
      'judged': judge.read,
      **absent_names(absent, judge.example.class_names),
      'images': 'samples in [0, 1]'
      + ('' if binarised == 'none' else f', means of pixels binarised by {binarised}'),
    },
  )


def agreement(predicted: np.ndarray, label: np.ndarray) -> dict[str, Estimate]:
  """`label_agreement`, `label_agreement_least` and `judge_unlabelled` of predicted classes [N] and
  labels [N], which are negative where they are missing."""
  known = label >= 0
  missing = int(np.sum(~known))
  metrics = {'judge_unlabelled': Estimate(float(missing))} if missing else {}
  right = predicted == label
  by_class = [right[label == c] for c in np.unique(label[known])]
  if not by_class:
    return metrics
  shares = [proportion(x.sum(), len(x)) for x in by_class]
  errors = [share.error for share in shares]
  # A class of one sample has no error.
  error = None if None in errors else float(np.linalg.norm(errors)) / len(errors)
  least = lambda *rows: min(x[i].mean() for x, i in zip(by_class, rows, strict=True))
  value, n = float(np.mean([share.value for share in shares])), int(known.sum())
  return metrics | {
    'label_agreement': Estimate(value, error, n=n),
    'label_agreement_least': bootstrap(least, *map(len, by_class), bounds=(0, 1))._replace(n=n),
  }


def absent_names(absent: np.ndarray, names: tuple[str, ...]) -> dict[str, str]:
  """The classes that the judge never predicts on its test split, by their names, for a protocol."""
  if not len(absent):
    return {}
  of_class = tuple(names[i] if names else str(i) for i in absent)
  return {'classes_absent': classes.in_words(of_class)}
