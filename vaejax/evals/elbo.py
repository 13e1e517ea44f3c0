"""Means of the method's metrics on held-out data: recon, kl, elbo and so on, in nats per
example."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.errors import UserError
from vaejax.evals.means import means
from vaejax.types import Eval, Example, Method, zeros

UNLABELLED = 'unlabelled'  # the name of rows that are True for an example without a label


def make(method: Method, config, example: Example) -> Eval:
  """Means of `method.metrics` over the split; for a likelihood of discrete values also
  `bits_per_dim` = -elbo / (dims ln 2).

  Metrics that need the label, which are NaN without one, are means over the examples with a label.
  Raises UserError if all metrics need it and the data has none.
  """

  def extract(variables, batch, key, hyper):
    n = jnp.sum(batch['mask'])
    sums = {'n': n, 'hyper': {name: n * x for name, x in hyper.items()}} if method.pooled else {}
    rows = dict(method.metrics(variables, batch, key, hyper))
    return sums, rows | ({UNLABELLED: batch['label'] < 0} if 'label' in batch else {})

  def finish(sums, rows):
    rows = dict(rows['test'])
    unlabelled = rows.pop(UNLABELLED, None)
    if method.pooled:
      n = sums['test']['n']
      rows = method.pooled(rows, {name: x / n for name, x in sums['test']['hyper'].items()})
    metrics = means(labelled(rows, unlabelled))
    if method.dims and 'elbo' in metrics:
      scale = method.dims * math.log(2)
      value, error = metrics['elbo']
      metrics['bits_per_dim'] = -value / scale, error and error / scale
    return metrics

  def names():
    def compute():
      # Nets are initialised with a label, even if the split that is tested has none.
      blank = {'label': jnp.zeros(1, jnp.int32), **zeros(example, 1)}
      variables = method.init(jax.random.key(0), blank)
      batch = {**zeros(example, 1), 'mask': jnp.ones(1)}
      hyper = {name: jnp.asarray(value) for name, value in config.hyper.items()}
      values = method.metrics(variables, batch, jax.random.key(0), hyper)
      return method.pooled(values, hyper) if method.pooled else values

    metrics = list(jax.eval_shape(compute))
    return [*metrics, 'bits_per_dim'] if method.dims and 'elbo' in metrics else metrics

  objective = config.get('objective', {})
  protocol = {'samples': objective.samples} if 'samples' in objective else {}
  if example.classes and 'label' not in example.fields and not names():
    raise UserError(f'the elbo eval needs labels for {config.method}, but the data has none')
  return Eval({'test': extract}, finish, names, protocol)


def labelled(rows, unlabelled) -> dict:
  """The values of each metric, {name: [N]}, without the NaN of examples where `unlabelled` [N] is
  True; None: all have labels. Metrics without any value are left out."""
  if unlabelled is None or not unlabelled.any():
    return rows
  kept = {name: x[~(unlabelled & np.isnan(x))] for name, x in rows.items()}
  return {name: x for name, x in kept.items() if len(x)}
