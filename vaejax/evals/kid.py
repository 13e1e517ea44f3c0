"""KID (Bińkowski et al. 2018, arXiv:1801.01401): the kernel distance of Inception features."""

from vaejax.eval_type import Eval
from vaejax.evaluation import features, two_sample
from vaejax.metrics.kernel import between
from vaejax.types import Example, Method

# The user's file of the Inception weights, and the number and size of the random subsets.
SETTINGS = {'weights': '', 'subsets': 100, 'subset_size': 1000}
SMOKE = {'subsets': 4}
RANGES = {'subsets': (1, 10_000), 'subset_size': (2, 2**31)}


def make(method: Method, config, example: Example) -> Eval:
  """`kid` and its floor; see perceptual/inception.py, metrics/kernel.py and
  evaluation/two_sample.py.

  Raises UserError for a method without samples, for data that is not images, and without the file
  of the weights that define KID.
  """
  features.check(method, config, example, 'kid')
  settings = config.eval.kid
  return two_sample.make(
    'kid',
    lambda a, b: between(a, b, settings.subsets, settings.subset_size),
    features.of_inception(settings.weights, 'kid'),
    example,
    {'subsets': settings.subsets, 'subset_size': settings.subset_size},
  )
