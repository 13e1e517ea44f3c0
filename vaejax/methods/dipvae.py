"""DIP-VAE-I and -II (Kumar et al. 2018, arXiv:1711.00848): the bound of a latent-variable model and
a penalty on the covariance of its aggregate posterior."""

import jax.numpy as jnp

from vaejax.distributions import Gaussian
from vaejax.lookup import choice
from vaejax.methods import aggregate, bound, limits
from vaejax.objectives.dip import KINDS, moments, penalty_terms
from vaejax.types import Example, Method


def make(config, example: Example) -> Method:
  """The method of a config. Raises UserError for a setting that does not fit."""
  choice('objective.kind', config.objective.kind, KINDS)
  settings = aggregate.settings(config, example)
  return dipvae(aggregate.base(config, example), config.objective.kind, **settings)


def dipvae(base: Method, kind: str, **settings) -> Method:
  """The method `base` with `penalty` of objectives/dip.py added to its bound. Its weights are
  hyper['off_diagonal'] and hyper['diagonal'].

  Args:
    base: a method with a Gaussian posterior.
    kind: 'i' or 'ii'.
    settings: see bound.terms.
  """
  model = base.latent

  def evaluate(v, batch, key, hyper, train, whole=None):
    result = bound.terms(model, v, batch, key, hyper, train, whole, **settings)
    q, _ = aggregate.flat(result.q, result.z)
    return result.value, {**result.values, 'posterior': q}, result.variables

  def terms(q, whole, hyper):
    return penalty_terms(kind, q, whole, hyper['off_diagonal'], hyper['diagonal'])

  of_batch = limits.OfMeans(
    'posterior', lambda q: moments(jnp.asarray(q.mean), jnp.square(q.scale)), terms, 'dip'
  )
  made = limits.objective(evaluate, of_batch)

  def metrics(v, batch, key, hyper):
    values = dict(made.metrics(v, batch, key, hyper))
    q = values.pop('posterior')
    return values | {'posterior_mean': q.mean, 'posterior_log_scale': q.log_scale}

  def pooled(values, hyper):
    values = dict(values)
    q = Gaussian(values.pop('posterior_mean'), values.pop('posterior_log_scale'))
    return made.pooled(values | {'posterior': q}, hyper)

  players = (base.players[0]._replace(loss=made.loss, means=made.means),)
  return base._replace(players=players, metrics=metrics, pooled=pooled)
