"""The Fréchet distance between VGG16's features of samples and of the tested split."""

from vaejax.eval_type import Eval
from vaejax.evaluation import features, two_sample
from vaejax.metrics.frechet import between
from vaejax.types import Example, Method

SETTINGS = {'resamples': 30}  # number of bootstrap samples
SMOKE = {'resamples': 2}
RANGES = {'resamples': (0, 10_000)}


def make(method: Method, config, example: Example) -> Eval:
  """`frechet_vgg16` and its floor; see metrics/frechet.py and evaluation/two_sample.py. The
  interval is that of a bootstrap over both sets of rows.

  Raises UserError for a method without samples, for data that is not images, and without the extra
  `perceptual`.
  """
  features.check(method, config, example, 'frechet_vgg16')
  resamples = config.eval.frechet_vgg16.resamples
  return two_sample.make(
    'frechet_vgg16',
    lambda a, b: between(a, b, resamples),
    features.of_vgg16(),
    example,
    {'resamples': resamples},
  )
