"""The kernel distance between the judge's features of samples and of the tested split."""

from vaejax.eval_type import Eval
from vaejax.evaluation import features, two_sample
from vaejax.metrics.kernel import between
from vaejax.types import Example, Method

# The workdir of the judge, '' is the cached one, and the number and size of the random subsets.
SETTINGS = {'workdir': '', 'subsets': 100, 'subset_size': 1000}
SMOKE = {'subsets': 4}
RANGES = {'subsets': (1, 10_000), 'subset_size': (2, 2**31)}


def make(method: Method, config, example: Example) -> Eval:
  """`kernel_NAME` and its floor, where NAME is the judge's dataset; see metrics/kernel.py and
  evaluation/two_sample.py.

  Raises UserError for a method without samples, for data that is not images, and for a judge that
  is missing or takes other images.
  """
  features.check(method, config, example, 'kernel')
  settings = config.eval.kernel
  judged = features.of_judge(config, example, settings.workdir, 'kernel')
  statistic = lambda a, b: between(a, b, settings.subsets, settings.subset_size)
  protocol = {'subsets': settings.subsets, 'subset_size': settings.subset_size}
  return two_sample.make(f'kernel_{judged.name}', statistic, judged, example, protocol)
