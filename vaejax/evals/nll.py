"""-log p(x) in nats per example by importance sampling (Burda et al. 2016, equation 8)."""

from vaejax.errors import UserError
from vaejax.evals.means import means
from vaejax.latent import log_likelihood
from vaejax.types import Eval, Example, Method

SETTINGS = {'samples': 5000}  # importance samples
SMOKE = {'samples': 20}
RANGES = {'samples': (1, 2**31)}

# Rows of the decoder that are worked on at once: as fast as more, and few enough for a cache.
ROWS = 2048


def make(method: Method, config, example: Example) -> Eval:
  """`nll` by `config.eval.nll.samples` draws. Its standard error is that over images: it leaves out
  the bias of so few draws, by which -log p(x) is overestimated on average.

  Raises UserError for a method without a likelihood.
  """
  if 'log_weight' not in method.predict:
    raise UserError(f'nll needs a likelihood, which {config.method} has not')
  samples = config.eval.nll.samples
  predict = method.predict['log_weight']

  def look(variables, batch, key, hyper):
    at_once = max(1, min(samples, ROWS // batch['mask'].shape[0]))
    weight = lambda k: predict(variables, batch, k)['log_weight']
    return {}, {'nll': -log_likelihood(weight, samples, at_once, key)}

  finish = lambda sums, rows: means(rows['test'])
  return Eval({'test': look}, finish, lambda: ['nll'], {'samples': samples})
