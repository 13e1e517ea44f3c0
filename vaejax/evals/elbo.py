"""The method's own terms on held-out data: recon, kl, elbo, ... in nats per example."""

import math

import jax.numpy as jnp

from vaejax.types import Eval, Example, Method


def make(method: Method, config, example: Example) -> Eval:
  """Means over the split of what `method.metrics` gives; and `bits_per_dim` = -elbo / (dims ln 2)
  where the likelihood is one of discrete values."""

  def stats(variables, batch, key, hyper):
    mask = batch['mask']
    values = method.metrics(variables, batch, key, hyper)
    sums = {name: jnp.sum(value * mask) for name, value in values.items()}
    return {'values': sums, 'examples': jnp.sum(mask)}

  def finish(sums):
    found = {name: float(v / sums['examples']) for name, v in sums['values'].items()}
    if method.dims and 'elbo' in found:
      found['bits_per_dim'] = -found['elbo'] / method.dims / math.log(2)
    return found

  objective = config.get('objective', {})
  return Eval(stats, finish, {'samples': objective.samples} if 'samples' in objective else {})
