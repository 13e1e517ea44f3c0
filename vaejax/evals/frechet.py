"""The Fréchet distance between the judge's features of samples and of the tested split."""

from vaejax.eval_type import Eval
from vaejax.evaluation import features, two_sample
from vaejax.metrics.frechet import between
from vaejax.types import Example, Method

# The workdir of the judge, '' is the cached one, and the number of bootstrap samples.
SETTINGS = {'workdir': '', 'resamples': 50}
SMOKE = {'resamples': 4}
RANGES = {'resamples': (0, 10_000)}


def make(method: Method, config, example: Example) -> Eval:
  """`frechet_NAME` and its floor, where NAME is the judge's dataset; see metrics/frechet.py and
  evaluation/two_sample.py. The interval is that of a bootstrap over both sets of rows.

  Raises UserError for a method without samples, for data that is not images, and for a judge that
  is missing or takes other images.
  """
  features.check(method, config, example, 'frechet')
  settings = config.eval.frechet
  judged = features.of_judge(config, example, settings.workdir, 'frechet')
  statistic = lambda a, b: between(a, b, settings.resamples)
  protocol = {'resamples': settings.resamples}
  return two_sample.make(f'frechet_{judged.name}', statistic, judged, example, protocol)
