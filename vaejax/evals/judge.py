"""Quality of samples as measured by a judge, a classifier that was trained on the dataset."""

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.data import classes
from vaejax.errors import UserError
from vaejax.estimates import Estimate, means
from vaejax.evaluation import judge_cache, judges
from vaejax.metrics.frechet import distance, moments
from vaejax.types import Eval, Example, Method

SETTINGS = {'workdir': ''}  # of the judge; '' is the cached one

# A class is covered if its share of the samples is at least this fraction of its share of the test
# split.
COVERED = 0.1


def make(method: Method, config, example: Example) -> Eval:
  """Metrics of samples, as many as the split has rows, by the judge in `config.eval.judge.workdir`,
  or by the cached judge of the dataset. NAME is the judge's dataset.

    frechet_NAME: Fréchet distance between the judge's features of the samples and of its test split
      (see metrics/frechet.py).
    frechet_NAME_floor: the same for its training split, which no sampler is expected to beat.
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

  The judge always sees images in [0, 1], whatever scale or binarisation the run was trained with.

  Raises UserError for a method without samples, and for a judge that is missing, damaged, or
  trained on other images or classes.
  """
  if method.sample is None:
    raise UserError(f'the judge eval needs samples, but the method {config.method!r} has none')
  judge, labelled = judges.find(config.eval.judge.workdir, config.data), 'label' in method.given
  name = judge.name
  if labelled and name != judge_cache.dataset_name(config.data):
    raise UserError(
      f'the judge was trained on {name}, which has other labels than {config.data.name}. Give the '
      f'workdir of a judge of {config.data.name} by eval.judge.workdir=DIR'
    )
  shape = judge.example.fields['image'].shape
  if 'image' not in example.fields or example.fields['image'].shape != shape:
    raise UserError(
      f'the judge of {name} needs images of {shape}, but the run has {example.data}s of '
      f'{example.fields[example.data].shape}. Give the workdir of a judge that fits by '
      'eval.judge.workdir=DIR'
    )
  present, covers = judge.shares > 0, COVERED * judge.shares
  absent = np.flatnonzero(~present)
  centre = judge.train.mean.astype(np.float32)

  def extract(variables, batch, key, hyper):
    mask = batch['mask']
    image = {'image': judge.example.to_data(example.to_unit(batch['image']))}
    prediction = judge.method.predict['classify'](judge.variables, image, key)
    predicted = jnp.argmax(prediction['logits'], axis=-1)
    features = prediction['features'] - centre
    one_hot = lambda index: jax.nn.one_hot(index, prediction['logits'].shape[-1])
    sums = {
      'examples': jnp.sum(mask),
      'features': mask @ features,
      'products': (features * mask[:, None]).T @ features,
      'classes': mask @ one_hot(predicted),
    }
    if labelled:
      label = one_hot(batch['label'])  # all zeros for a missing label, which is negative
      correct = mask * (predicted == batch['label'])
      sums |= {'labels': mask @ label, 'correct': correct @ label}
    return sums, {'confidence': jnp.max(prediction['probability'], axis=-1)}

  def finish(sums, rows):
    sums = sums['samples']
    count, shares = float(sums['examples']), np.asarray(sums['classes'], np.float64)
    shares = shares / count
    fitted = moments(count, sums['features'], sums['products'], centre)
    positive = shares[shares > 0]
    metrics = {
      f'frechet_{name}': distance(fitted, judge.test),
      f'frechet_{name}_floor': distance(judge.train, judge.test),
      'classes_covered': float(np.sum(present & (shares >= covers) & (shares > 0))),
      'class_entropy': float(-np.sum(positive * np.log(positive))) + 0.0,
    }
    metrics |= {} if judge.accuracy is None else {'judge_accuracy': judge.accuracy}
    metrics |= {'classes_absent': float(len(absent))} if len(absent) else {}
    if labelled and (nonempty := sums['labels'] > 0).any():
      agreement = sums['correct'][nonempty] / sums['labels'][nonempty]
      metrics['label_agreement'] = float(np.mean(agreement))
      metrics['label_agreement_least'] = float(np.min(agreement))
    unlabelled = count - float(sums['labels'].sum()) if labelled else 0.0
    metrics |= {'judge_unlabelled': unlabelled} if unlabelled else {}
    return {name: Estimate(value) for name, value in metrics.items()} | means(rows['samples'])

  names = [f'frechet_{name}', f'frechet_{name}_floor', 'classes_covered', 'class_entropy']
  names += ['confidence'] + ['judge_accuracy'] * (judge.accuracy is not None)
  names += ['classes_absent'] * bool(len(absent))
  names += ['label_agreement', 'label_agreement_least'] if labelled else []
  binarised = config.data.binarise
  return Eval(
    {'samples': extract},
    finish,
    lambda: names,
    {
      'judge': name,
      'judge_accuracy': judge.accuracy,
      'judge_checksum': judge.checksum[:16],
      'reference': judge.read,
      **absent_names(absent, judge.example.class_names),
      'images': 'samples in [0, 1]'
      + ('' if binarised == 'none' else f', means of pixels binarised by {binarised}'),
    },
  )


def absent_names(absent: np.ndarray, names: tuple[str, ...]) -> dict[str, str]:
  """The classes that the judge never predicts on its test split, by their names, for a protocol."""
  if not len(absent):
    return {}
  of_class = tuple(names[i] if names else str(i) for i in absent)
  return {'classes_absent': classes.in_words(of_class)}
