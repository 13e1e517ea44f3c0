"""What the project's own judge, a classifier of the dataset, makes of a method's samples."""

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.errors import UserError
from vaejax.evals.means import means
from vaejax.evaluation import judges
from vaejax.metrics.frechet import distance, moments
from vaejax.types import Eval, Example, Method

SETTINGS = {'workdir': ''}  # of the judge, '': the cached one

# A class counts as covered from this part of its share in the test split on.
COVERED = 0.1


def make(method: Method, config, example: Example) -> Eval:
  """As many samples as the split has rows, seen by the judge in the workdir
  `config.eval.judge.workdir`, or else by the cached one of the dataset.

  `frechet_NAME`: Fréchet distance of its features (see evals.frechet) from those of its test split,
  and `frechet_NAME_floor`, that of its training split; NAME is its dataset. `classes_covered`: how
  many classes have a tenth of their share in the test split. `class_entropy`: of the shares of the
  classes, in nats. `confidence`: mean probability of the class that it finds. `judge_accuracy`:
  its own, on the labels of the test split. Where a label may be given, each row's is:
  `label_agreement`, the share of samples of an asked class that are recognised as it, as the mean
  over classes, and `label_agreement_least`, of the worst of them; rows without a label ask for
  none, and `judge_unlabelled` counts them.

  The judge sees images in [0, 1], whatever the scale or binarisation that the run was trained on.

  Raises UserError for a method without samples, and for a judge that is not there, damaged, or of
  other images or classes.
  """
  if method.sample is None:
    raise UserError(f'judge needs samples, which {config.method} does not give')
  judge, asks = judges.find(config.eval.judge.workdir, config.data), 'label' in method.given
  name = judge.name
  if asks and name != judges.dataset_name(config.data):
    raise UserError(
      f'the judge is of {name}, whose labels are not those of {config.data.name}: name one '
      f'that was trained on {config.data.name} by eval.judge.workdir=DIR'
    )
  shape = judge.example.fields['image'].shape
  if 'image' not in example.fields or example.fields['image'].shape != shape:
    got = f'{example.data}s of {example.fields[example.data].shape}'
    raise UserError(f'the judge of {name} takes images of {shape}, the run gives {got}')
  centre = judge.train.mean.astype(np.float32)

  def look(variables, batch, key, hyper):
    mask = batch['mask']
    image = {'image': judge.example.to_data(example.to_unit(batch['image']))}
    said = judge.method.predict['classify'](judge.variables, image, key)
    top, features = jnp.argmax(said['logits'], axis=-1), said['features'] - centre
    one_hot = lambda index: jax.nn.one_hot(index, said['logits'].shape[-1])
    sums = {
      'examples': jnp.sum(mask),
      'features': mask @ features,
      'products': (features * mask[:, None]).T @ features,
      'classes': mask @ one_hot(top),
    }
    if asks:
      asked = one_hot(batch['label'])  # a label that is missing is of no class
      sums |= {'asked': mask @ asked, 'right': (mask * (top == batch['label'])) @ asked}
    return sums, {'confidence': jnp.max(said['probability'], axis=-1)}

  def finish(sums, rows):
    sums = sums['samples']
    count, shares = float(sums['examples']), np.asarray(sums['classes'], np.float64)
    shares = shares / count
    drawn = moments(count, sums['features'], sums['products'], centre)
    present = shares[shares > 0]
    found = {
      f'frechet_{name}': distance(drawn, judge.test),
      f'frechet_{name}_floor': distance(judge.train, judge.test),
      'classes_covered': float(np.sum((shares >= COVERED * judge.shares) & (shares > 0))),
      'class_entropy': float(-np.sum(present * np.log(present))) + 0.0,
      'judge_accuracy': judge.accuracy,
    }
    if asks and (there := sums['asked'] > 0).any():
      agreement = sums['right'][there] / sums['asked'][there]
      found['label_agreement'] = float(np.mean(agreement))
      found['label_agreement_least'] = float(np.min(agreement))
    unlabelled = count - float(sums['asked'].sum()) if asks else 0.0
    found |= {'judge_unlabelled': unlabelled} if unlabelled else {}
    return {name: (value, None) for name, value in found.items()} | means(rows['samples'])

  def names():
    found = [f'frechet_{name}', f'frechet_{name}_floor', 'classes_covered', 'class_entropy']
    found += ['confidence', 'judge_accuracy']
    return found + (['label_agreement', 'label_agreement_least'] if asks else [])

  binarised = config.data.binarise
  return Eval(
    {'samples': look},
    finish,
    names,
    {
      'judge': name,
      'judge_accuracy': judge.accuracy,
      'judge_checksum': judge.checksum[:16],
      'reference': judge.read,
      'images': 'samples in [0, 1]'
      + ('' if binarised == 'none' else f', means of pixels binarised by {binarised}'),
    },
  )
