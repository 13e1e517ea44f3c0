"""The method's own terms on held-out data: recon, kl, elbo, ... in nats per example."""

import math

import jax.numpy as jnp

from vaejax.types import Eval, Method


def make(method: Method, config) -> Eval:
  """Means over the split of what `method.metrics` gives; and `bits_per_dim` = -elbo / (H W C ln 2)
  where the likelihood is one of discrete values."""

  def stats(variables, batch, key, hyper):
    mask = batch['mask']
    values = method.metrics(variables, batch, key, hyper)
    sums = {name: jnp.sum(value * mask) for name, value in values.items()}
    dims = math.prod(batch['image'].shape[1:])
    return {'values': sums, 'examples': jnp.sum(mask), 'dims': jnp.sum(mask) * dims}

  def finish(sums):
    found = {name: float(v / sums['examples']) for name, v in sums['values'].items()}
    if method.discrete and 'elbo' in found:
      found['bits_per_dim'] = float(-sums['values']['elbo'] / sums['dims'] / math.log(2))
    return found

  return Eval(stats, finish, {'samples': config.objective.samples} if 'objective' in config else {})
