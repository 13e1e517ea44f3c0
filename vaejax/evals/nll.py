"""-log p(x) in nats per example by importance sampling (Burda et al. 2016, equation 8)."""

import math

import jax
import jax.numpy as jnp

from vaejax.errors import UserError
from vaejax.evals.means import means
from vaejax.types import Eval, Example, Method

SETTINGS = {'samples': 5000}  # importance samples
SMOKE = {'samples': 20}
RANGES = {'samples': (1, 2**31)}

# Rows of the decoder that are worked on at once: as fast as more, and few enough for a cache.
ROWS = 2048


def log_likelihood(log_weight, samples: int, at_once: int, key: jax.Array) -> jax.Array:
  """log (1/K) sum_k exp log_weight(key_k), in memory that does not grow with K.

  Args:
    log_weight: key -> log p(x, z) - log q(z|x) of one draw of z, [B].
    samples: K.
    at_once: how many of them are drawn in parallel.
  """

  def body(i, carry):
    top, total = carry
    number = i * at_once + jnp.arange(at_once)
    weights = jax.vmap(lambda i: log_weight(jax.random.fold_in(key, i)))(number)
    weights = jnp.where(number[:, None] < samples, weights, -jnp.inf)
    higher = jnp.maximum(top, jnp.max(weights, axis=0))
    total = total * jnp.exp(top - higher) + jnp.sum(jnp.exp(weights - higher), axis=0)
    return higher, total

  shape = jax.eval_shape(log_weight, key).shape
  start = jnp.full(shape, jnp.finfo(jnp.float32).min), jnp.zeros(shape)
  top, total = jax.lax.fori_loop(0, -(-samples // at_once), body, start)
  return top + jnp.log(total) - math.log(samples)


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
