"""The kernel distance between VGG16's features of samples and of the tested split."""

from vaejax.eval_type import Eval
from vaejax.evaluation import features, two_sample
from vaejax.metrics.kernel import between
from vaejax.types import Example, Method

SETTINGS = {'subsets': 100, 'subset_size': 1000}  # the number and size of the random subsets
SMOKE = {'subsets': 4}
RANGES = {'subsets': (1, 10_000), 'subset_size': (2, 2**31)}


def make(method: Method, config, example: Example) -> Eval:
  """`kernel_vgg16` and its floor; see metrics/kernel.py and evaluation/two_sample.py.

  Raises UserError for a method without samples, for data that is not images, and without the extra
  `perceptual`.
  """
  features.check(method, config, example, 'kernel_vgg16')
  settings = config.eval.kernel_vgg16
  return two_sample.make(
    'kernel_vgg16',
    lambda a, b: between(a, b, settings.subsets, settings.subset_size),
    features.of_vgg16(),
    example,
    {'subsets': settings.subsets, 'subset_size': settings.subset_size},
  )
