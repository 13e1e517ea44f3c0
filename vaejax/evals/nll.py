"""-log p(x) in nats per example by importance sampling (Burda et al. 2016, equation 8)."""

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.errors import UserError
from vaejax.estimates import Estimate, mean, mean_of_draws
from vaejax.eval_type import Eval
from vaejax.latent import log_likelihood
from vaejax.types import Example, Method

# Importance samples, and the number of examples from the first on; 0: all of the split.
SETTINGS = {'samples': 5000, 'images': 0}
SMOKE = {'samples': 20}
RANGES = {'samples': (1, 2**31), 'images': (0, 2**31)}

# Rows that the decoder processes at once: as fast as more, and few enough for a CPU's cache.
ROWS = 2048

# Below this median, or above this fall in nats, nll has a note: more samples would lower it.
MIN_EFFECTIVE = 20
MAX_FALL = 0.05


def make(method: Method, config, example: Example) -> Eval:
  """`nll`: -log p(x) in nats, or more on average, from K = `config.eval.nll.samples` draws per
  example. Two values show how close it is:

    nll_fall: how much lower nll is with K than with the first K / 2 draws, in nats.
    nll_effective: the median over examples of the effective sample size, 1 to K.

  The standard error of nll is over examples and draws. It does not include the bias of a finite K,
  but a note warns of that. Raises UserError for a method without a likelihood.
  """
  if 'log_weight' not in method.predict:
    raise UserError(f'the nll eval needs a likelihood, but the method {config.method!r} has none')
  samples, images = config.eval.nll.samples, config.eval.nll.images
  predict = method.predict['log_weight']

  def extract(variables, batch, key, hyper):
    at_once = max(1, min(samples, ROWS // batch['mask'].shape[0]))
    weight = lambda k: predict(variables, batch, k)['log_weight']

    # XLA moves what depends on no draw, such as q(z|x), out of the loop over draws.
    def estimate():
      estimate = log_likelihood(weight, samples, at_once, key)
      return {
        'nll': -estimate.log_likelihood,
        'nll_of_half': -estimate.of_half,
        'nll_effective': estimate.effective_samples,
      }

    if not images:
      return {}, estimate()
    blank = lambda: jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), jax.eval_shape(estimate))
    return {}, jax.lax.cond(jnp.any(batch['mask'] > 0), estimate, blank)

  def finish(sums, rows):
    nll, of_half, effective = (
      np.asarray(rows['test'][name], np.float64) for name in ('nll', 'nll_of_half', 'nll_effective')
    )
    # The delta method: log of a mean of K weights has the variance 1 / effective - 1 / K.
    estimate = mean_of_draws(nll, np.maximum(1 / effective - 1 / samples, 0))
    median = float(np.median(effective))
    values = {'nll_effective': Estimate(median)}
    notes = []
    if samples > 1:
      fall = mean(of_half - nll)
      values['nll_fall'] = fall
      if fall.value > max(MAX_FALL, 2 * (fall.error or 0)):
        notes.append(f'still {fall.value:.2g} nats lower than with {samples // 2:,} draws')
      if median < MIN_EFFECTIVE:
        notes.append(f'the median effective sample size is {median:.1f} of {samples:,}')
    return {'nll': estimate._replace(note='; '.join(notes))} | values

  names = ['nll', 'nll_effective', *['nll_fall'] * (samples > 1)]
  return Eval({'test': extract}, finish, lambda: names, {'samples': samples}, images)
