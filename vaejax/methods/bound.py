"""The evidence lower bound of any latent-variable model as a loss: β, capacity, free bits, and the
importance-weighted bound."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.compound import divergence
from vaejax.distributions import per_example
from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.objectives.elbo import log_mean_exp, rate
from vaejax.types import Latent, Variables


def settings(config) -> dict[str, Any]:
  """The arguments of `bound` from a config's `objective`. Raises UserError."""
  objective = config.objective
  choice('objective.name', objective.name, {'elbo', 'iwae'})
  choice('objective.kl', objective.kl, {'analytic', 'sampled'})
  importance = objective.name == 'iwae'
  unused = [name for name in ('capacity', 'free_bits') if config.hyper.get(name, 0)]
  if importance and unused:
    raise UserError(f'hyper.{unused[0]} has no effect with objective.name=iwae. Set it to 0')
  analytic = objective.kl == 'analytic' and not importance
  return {'samples': objective.samples, 'importance': importance, 'analytic': analytic}


class Bound(NamedTuple):
  """The result of `terms`.

  Attributes:
    value: the loss [B], a negative bound.
    values: its named terms, [B] each.
    q: q(z|x).
    z: K draws from q, [K * B, ...], with the first draws of all rows first.
    variables: the updated variables.
  """

  value: jax.Array
  values: dict[str, jax.Array]
  q: Any
  z: Any
  variables: Variables


def terms(
  model: Latent, v, batch, key, hyper, train, samples=1, importance=False, analytic=True
) -> Bound:
  """The bound of every row of a batch, in nats.

  Args:
    hyper: 'beta', and optionally 'capacity' and 'free_bits'.
    samples: K, the draws of z per example. Their bounds are averaged, or with `importance` combined
      to the importance-weighted bound IWAE-K.
    analytic: whether the KL is computed in closed form where possible, rather than at the draws.
  """
  x, given = batch[model.data], latent.conditions(model, batch)
  n = x.shape[0]
  repeat = lambda tree: jax.tree.map(lambda a: jnp.concatenate([a] * samples), tree)
  q, v = model.posterior(v, batch, train=train)
  if samples == 1:
    draws = jax.tree.map(lambda a: a[None], q.sample(key))
  else:
    draws = jax.vmap(q.sample)(jax.random.split(key, samples))
  merge = lambda tree: jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), tree)
  z = merge(draws)
  p, v = model.likelihood(v, z, repeat(given), target=repeat(x), train=train)
  recon = -per_example(p.log_prob(repeat(x))).reshape(samples, n)
  prior, _ = model.prior(v, n, given)
  kl_terms = jax.vmap(lambda z: divergence(q, prior, z, analytic))(draws)
  kl, kl_terms = jax.vmap(per_example)(kl_terms), merge(kl_terms)
  values = {'recon': recon.mean(0), 'kl': kl.mean(0), 'elbo': -(recon + kl).mean(0)}
  if importance:
    values['iwae'] = log_mean_exp(-(recon + kl))
    value = -log_mean_exp(-(recon + hyper['beta'] * kl))
  else:
    # Capacity and free bits act on the mean over the batch, so every example gets the same penalty.
    limits = hyper.get('capacity', 0.0), hyper.get('free_bits', 0.0)
    weights = jnp.tile(batch['mask'], samples) if 'mask' in batch else jnp.ones(kl.size)
    penalty = rate(kl_terms, *limits, weights) - jnp.average(kl.ravel(), weights=weights)
    value = values['recon'] + hyper['beta'] * (values['kl'] + penalty)
  return Bound(value, values, q, z, v)


def bound(model: Latent, **settings):
  """(loss, metrics) of a model for a Player and a Method. The settings are those of `terms`."""

  def evaluate(v, batch, key, hyper, train):
    result = terms(model, v, batch, key, hyper, train, **settings)
    return result.value, result.values, result.variables

  return loss_and_metrics(evaluate)


def loss_and_metrics(evaluate):
  """(loss, metrics) for a Player and a Method.

  evaluate: (variables, batch, key, hyper, train) -> (the loss [B], its named terms [B], the updated
    variables).
  """

  def loss(v, batch, key, hyper):
    value, values, v = evaluate(v, batch, key, hyper, train=True)
    return jnp.mean(value), (jax.tree.map(jnp.mean, values), v.extra)

  def metrics(v, batch, key, hyper):
    value, values, _ = evaluate(v, batch, key, hyper, train=False)
    return {**values, 'loss': value}

  return loss, metrics
