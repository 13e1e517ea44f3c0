"""β-TCVAE (Chen et al. 2018, arXiv:1802.04942): the KL of a latent-variable model is split into
mutual information, total correlation and dimension-wise KL, each with its own weight."""

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.distributions import per_example
from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.methods import aggregate, bound
from vaejax.objectives.total_correlation import ESTIMATORS, decompose
from vaejax.types import Example, Method

INNER = 'kl_terms', 'squared_error'  # terms of a bound that are not metrics


def make(config, example: Example) -> Method:
  """The method of a config. Raises UserError for a setting that does not fit."""
  objective = config.objective
  choice('objective.estimator', objective.estimator, ESTIMATORS)
  aggregate.check_whole_batch(config, 'whose loss compares all images of a batch with each other')
  if config.batch_size < 2:
    raise UserError(f'batch_size={config.batch_size} is too small for tcvae. Use 2 or more')
  if 0 < objective.rows < config.batch_size:
    raise UserError(
      f'objective.rows={objective.rows}, the number of training images, is less than '
      f'batch_size={config.batch_size}. Set it to 0 if it is far larger than a batch'
    )
  settings = aggregate.settings(config, example)
  return tcvae(aggregate.base(config, example), objective.estimator, objective.rows, **settings)


def tcvae(base: Method, estimator='weighted', rows=0, **settings) -> Method:
  """The method `base` with the loss

    recon + alpha · mutual information + beta · total correlation + gamma · dimension-wise KL

  of equation 4, with the weights in `hyper`. The parts are estimated from each training batch, so
  they are not test values. The latent eval estimates them from a split.

  Args:
    base: a method with a Gaussian posterior.
    estimator, rows: see total_correlation.log_weights.
    settings: see bound.terms.
  """
  model = base.latent

  def loss(v, batch, key, hyper):
    # The parts replace the KL.
    result = bound.terms(model, v, batch, key, {**hyper, 'beta': 0.0}, True, **settings)
    q, z = aggregate.flat(result.q, result.z)
    given = latent.conditions(model, batch)
    prior, _ = model.prior(result.variables, z.shape[0], given)
    parts = decompose(z, q, per_example(prior.log_prob(result.z)), estimator, rows)
    values = {k: x for k, x in result.values.items() if k not in INNER} | parts._asdict()
    value = result.value + hyper['alpha'] * parts.mutual_information
    value = value + hyper['beta'] * parts.total_correlation + hyper['gamma'] * parts.dimension_kl
    return jnp.mean(value), (jax.tree.map(jnp.mean, values), result.variables.extra)

  def metrics(v, batch, key, hyper):
    values = bound.terms(model, v, batch, key, hyper, False, **settings).values
    return {k: x for k, x in values.items() if k not in INNER}

  players = (base.players[0]._replace(loss=loss, means=None),)
  return base._replace(players=players, metrics=metrics, pooled=None)
