"""Means of the method's metrics on held-out data: recon, kl, elbo and so on, in nats per
example."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.errors import UserError
from vaejax.estimates import mean, mean_of_draws
from vaejax.eval_type import Eval
from vaejax.types import Example, Method, zeros

SETTINGS = {'draws': 4}  # of the latents of each example
SMOKE = {'draws': 2}
RANGES = {'draws': (1, 2**16)}

VARIANCE = '/variance'  # end of the name of rows: the variance of a metric's mean over draws
UNLABELLED = 'unlabelled'  # the name of rows that are True for an example without a label


def make(method: Method, config, example: Example) -> Eval:
  """Means of `method.metrics` over the split and over `config.eval.elbo.draws` draws of the
  latents; for a likelihood of discrete values also `bits_per_dim` = -elbo / (dims ln 2).

  Metrics that need the label, which are NaN without one, are means over the examples with a label.
  Raises UserError if all metrics need it and the data has none.
  """

  draws = config.eval.elbo.draws

  def extract(variables, batch, key, hyper):
    n = jnp.sum(batch['mask'])
    sums = {'n': n, 'hyper': {name: n * x for name, x in hyper.items()}} if method.pooled else {}
    order = []  # vmap sorts the keys of a dict

    def draw(i):
      values = method.metrics(variables, batch, jax.random.fold_in(key, i), hyper)
      order[:] = values
      return tuple(values.values())

    values = jax.vmap(draw)(jnp.arange(draws))
    values = dict(zip(order, values, strict=True))
    rows = {name: jnp.mean(x, axis=0) for name, x in values.items()}
    if draws > 1:
      variance = lambda x: jnp.var(x, axis=0, ddof=1) / draws
      rows |= {name + VARIANCE: variance(x) for name, x in values.items() if x.ndim == 2}
    return sums, rows | ({UNLABELLED: batch['label'] < 0} if 'label' in batch else {})

  def finish(sums, rows):
    rows = labelled(dict(rows['test']))
    values = {name: x for name, x in rows.items() if not name.endswith(VARIANCE)}
    if method.pooled:
      n = sums['test']['n']
      hyper = {name: x / n for name, x in sums['test']['hyper'].items()}
      values = method.pooled(values, hyper)
    metrics = {}
    for name, x in values.items():
      # A value that depends on the mean over the split has another variance.
      drawn = name + VARIANCE in rows and x is rows[name]
      estimate = mean_of_draws(x, rows[name + VARIANCE]) if drawn else mean(x)
      metrics[name] = estimate._replace(n=len(x))
    if method.dims and 'elbo' in metrics:
      metrics['bits_per_dim'] = metrics['elbo'].scaled(-1 / (method.dims * math.log(2)))
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
  protocol = {'draws': draws}
  protocol |= {'samples': objective.samples} if 'samples' in objective else {}
  if example.classes and 'label' not in example.fields and not names():
    raise UserError(f'the elbo eval needs labels for {config.method}, but the data has none')
  return Eval({'test': extract}, finish, names, protocol, previous=method.previous)


def labelled(rows: dict) -> dict:
  """The rows of each metric, {name: [N]}, without the NaN of examples where UNLABELLED is True.
  Metrics without any value are left out."""
  unlabelled = rows.pop(UNLABELLED, None)
  if unlabelled is None or not unlabelled.any():
    return rows
  missing = lambda x: np.isnan(x).reshape(len(x), -1).any(axis=1)
  kept = {name: x[~(unlabelled & missing(x))] for name, x in rows.items()}
  return {name: x for name, x in kept.items() if len(x)}
