"""-log p(x) in nats per example by importance sampling (Burda et al. 2016, equation 8)."""

from vaejax.errors import UserError
from vaejax.evals.means import means
from vaejax.latent import log_likelihood
from vaejax.types import Eval, Example, Method

SETTINGS = {'samples': 5000}  # importance samples
SMOKE = {'samples': 20}
RANGES = {'samples': (1, 2**31)}

# Rows that the decoder processes at once: as fast as more, and few enough for a CPU's cache.
ROWS = 2048


def make(method: Method, config, example: Example) -> Eval:
  """`nll` from `config.eval.nll.samples` draws per example.

  Its standard error is over examples. It does not include the bias of a finite number of draws,
  which overestimates -log p(x) on average. Raises UserError for a method without a likelihood.
  """
  if 'log_weight' not in method.predict:
    raise UserError(f'the nll eval needs a likelihood, but the method {config.method!r} has none')
  samples = config.eval.nll.samples
  predict = method.predict['log_weight']

  def extract(variables, batch, key, hyper):
    at_once = max(1, min(samples, ROWS // batch['mask'].shape[0]))
    weight = lambda k: predict(variables, batch, k)['log_weight']
    return {}, {'nll': -log_likelihood(weight, samples, at_once, key)}

  finish = lambda sums, rows: means(rows['test'])
  return Eval({'test': extract}, finish, lambda: ['nll'], {'samples': samples})
