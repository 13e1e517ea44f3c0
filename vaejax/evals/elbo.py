"""Means of the method's metrics on held-out data: recon, kl, elbo and so on, in nats per
example."""

import math

import jax
import jax.numpy as jnp

from vaejax.evals.means import means
from vaejax.types import Eval, Example, Method, zeros


def make(method: Method, config, example: Example) -> Eval:
  """Means of `method.metrics` over the split; for a likelihood of discrete values also
  `bits_per_dim` = -elbo / (dims ln 2)."""

  def extract(variables, batch, key, hyper):
    n = jnp.sum(batch['mask'])
    sums = {'n': n, 'hyper': {name: n * x for name, x in hyper.items()}} if method.pooled else {}
    return sums, method.metrics(variables, batch, key, hyper)

  def finish(sums, rows):
    rows = rows['test']
    if method.pooled:
      n = sums['test']['n']
      rows = method.pooled(rows, {name: x / n for name, x in sums['test']['hyper'].items()})
    metrics = means(rows)
    if method.dims and 'elbo' in metrics:
      scale = method.dims * math.log(2)
      value, error = metrics['elbo']
      metrics['bits_per_dim'] = -value / scale, error and error / scale
    return metrics

  def names():
    def compute():
      variables = method.init(jax.random.key(0), zeros(example, 1))
      batch = {**zeros(example, 1), 'mask': jnp.ones(1)}
      hyper = {name: jnp.asarray(value) for name, value in config.hyper.items()}
      values = method.metrics(variables, batch, jax.random.key(0), hyper)
      return method.pooled(values, hyper) if method.pooled else values

    metrics = list(jax.eval_shape(compute))
    return [*metrics, 'bits_per_dim'] if method.dims and 'elbo' in metrics else metrics

  objective = config.get('objective', {})
  protocol = {'samples': objective.samples} if 'samples' in objective else {}
  return Eval({'test': extract}, finish, names, protocol)
