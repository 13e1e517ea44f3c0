"""Fidelity and variety of samples: improved precision and recall, density and coverage."""

from vaejax.errors import UserError
from vaejax.estimates import means
from vaejax.eval_type import Eval
from vaejax.evaluation import features
from vaejax.evaluation.enough import check_rows
from vaejax.evaluation.features import Features
from vaejax.lookup import choice
from vaejax.metrics.manifold import manifold
from vaejax.perceptual import weights
from vaejax.types import Example, Method

# The features: auto, judge, vgg16 or pixels; the workdir of the judge, '' is the cached one; the
# number k of the neighbour that a ball reaches to; and the number of rows.
SETTINGS = {'features': 'auto', 'workdir': '', 'neighbours': 5, 'rows': 10_000}
SMOKE = {'rows': 64}
RANGES = {'neighbours': (1, 1000), 'rows': (2, 10**6)}


def make(method: Method, config, example: Example) -> Eval:
  """`precision_NAME`, `recall_NAME`, `density_NAME` and `coverage_NAME` of samples and the tested
  split; see metrics/manifold.py. NAME is that of the features: the judge's dataset, 'vgg16' or
  'pixels'. 'auto' takes the judge's if there is a judge, else VGG16's if the extra `perceptual` is
  installed, else pixels.

  Precision and density are means over samples, recall and coverage over rows of the split. Their
  standard errors are those of these means; the balls are taken as given.

  Raises UserError for a method without samples, for data that is not images, and for features that
  are not available.
  """
  features.check(method, config, example, 'precision_recall')
  settings = config.eval.precision_recall
  chosen, k = choose(config, example), settings.neighbours

  def extract(variables, batch, key, hyper):
    return {}, chosen.rows(features.pictures(batch, example))

  def finish(sums, rows):
    check_rows(rows, k + 1)
    terms = manifold(rows['test'][chosen.row], rows['samples'][chosen.row], k)
    return means({f'{name}_{chosen.name}': x for name, x in terms._asdict().items()})

  return Eval(
    {'samples': extract, 'test': extract},
    finish,
    lambda: [f'{name}_{chosen.name}' for name in ('precision', 'recall', 'density', 'coverage')],
    {
      **chosen.protocol,
      'neighbours': k,
      'rows': settings.rows,
      'reference': 'the tested split',
      'images': 'in [0, 1], not binarised; decoders give the means of p(x|z)',
    },
    limit=settings.rows,
  )


def choose(config, example: Example) -> Features:
  """The features of `config.eval.precision_recall.features`. Raises UserError."""
  settings = config.eval.precision_recall
  of_judge = lambda: features.of_judge(config, example, settings.workdir, 'precision_recall')
  kinds = {'judge': of_judge, 'vgg16': features.of_vgg16, 'pixels': features.of_pixels}
  kind = choice('eval.precision_recall.features', settings.features, {'auto', *kinds})
  if kind != 'auto':
    return kinds[kind]()
  try:
    return of_judge()
  except UserError:
    if settings.workdir:
      raise
  return features.of_vgg16() if weights.is_installed() else features.of_pixels()
