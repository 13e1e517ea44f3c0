"""The method's own terms on held-out data: recon, kl, elbo, ... in nats per example."""

import math

import jax
import jax.numpy as jnp

from vaejax.evals.means import means
from vaejax.types import Eval, Example, Method, zeros


def make(method: Method, config, example: Example) -> Eval:
  """Means over the split of what `method.metrics` gives; and `bits_per_dim` = -elbo / (dims ln 2)
  where the likelihood is one of discrete values."""

  def look(variables, batch, key, hyper):
    return {}, method.metrics(variables, batch, key, hyper)

  def finish(sums, rows):
    found = means(rows['test'])
    if method.dims and 'elbo' in found:
      scale = method.dims * math.log(2)
      value, error = found['elbo']
      found['bits_per_dim'] = -value / scale, error and error / scale
    return found

  def names():
    def metrics():
      variables = method.init(jax.random.key(0), zeros(example, 1))
      batch = {**zeros(example, 1), 'mask': jnp.ones(1)}
      hyper = {name: jnp.asarray(value) for name, value in config.hyper.items()}
      return method.metrics(variables, batch, jax.random.key(0), hyper)

    found = list(jax.eval_shape(metrics))
    return [*found, 'bits_per_dim'] if method.dims and 'elbo' in found else found

  objective = config.get('objective', {})
  protocol = {'samples': objective.samples} if 'samples' in objective else {}
  return Eval({'test': look}, finish, names, protocol)
