"""FID (Heusel et al. 2017, arXiv:1706.08500): the Fréchet distance of Inception features."""

from vaejax.eval_type import Eval
from vaejax.evaluation import features, two_sample
from vaejax.metrics.frechet import between
from vaejax.types import Example, Method

# The user's file of the Inception weights, and the number of bootstrap samples.
SETTINGS = {'weights': '', 'resamples': 20}
SMOKE = {'resamples': 2}
RANGES = {'resamples': (0, 10_000)}


def make(method: Method, config, example: Example) -> Eval:
  """`fid` and its floor; see perceptual/inception.py, metrics/frechet.py and
  evaluation/two_sample.py. The interval is that of a bootstrap over both sets of rows.

  Raises UserError for a method without samples, for data that is not images, and without the file
  of the weights that define FID.
  """
  features.check(method, config, example, 'fid')
  settings = config.eval.fid
  return two_sample.make(
    'fid',
    lambda a, b: between(a, b, settings.resamples),
    features.of_inception(settings.weights, 'fid'),
    example,
    {'resamples': settings.resamples},
  )
