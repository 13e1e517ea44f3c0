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
  """The arguments of `bound` that a config's `objective` asks for. Raises UserError."""
  objective = config.objective
  choice('objective.name', objective.name, {'elbo', 'iwae'})
  choice('objective.kl', objective.kl, {'analytic', 'sampled'})
  importance = objective.name == 'iwae'
  unused = [name for name in ('capacity', 'free_bits') if config.hyper.get(name, 0)]
  if importance and unused:
    raise UserError(f'hyper.{unused[0]} means nothing to objective.name=iwae: set it to 0')
  analytic = objective.kl == 'analytic' and not importance
  return {'samples': objective.samples, 'importance': importance, 'analytic': analytic}


class Bound(NamedTuple):
  """value [B]: what is minimised, a negative bound; values: its named terms, [B] each; q(z|x); its
  draws z [K * B, ...], the first draws of all rows first; and the variables left behind."""

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
    samples: K draws of z per example: their mean, or with `importance` their bound IWAE-K.
    analytic: the KL in closed form where there is one, rather than at the draws of z.
    hyper: 'beta', and, where they are there, 'capacity' and 'free_bits'.
  """
  x, given = batch[model.data], latent.conditions(model, batch)
  n = x.shape[0]
  every = lambda tree: jax.tree.map(lambda a: jnp.concatenate([a] * samples), tree)
  q, v = model.posterior(v, batch, train=train)
  if samples == 1:
    draws = jax.tree.map(lambda a: a[None], q.sample(key))
  else:
    draws = jax.vmap(q.sample)(jax.random.split(key, samples))
  rows = lambda tree: jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), tree)
  z = rows(draws)
  p, v = model.likelihood(v, z, every(given), target=every(x), train=train)
  recon = -per_example(p.log_prob(every(x))).reshape(samples, n)
  prior, _ = model.prior(v, n, given)
  each = jax.vmap(lambda z: divergence(q, prior, z, analytic))(draws)
  kl, each = jax.vmap(per_example)(each), rows(each)
  values = {'recon': recon.mean(0), 'kl': kl.mean(0), 'elbo': -(recon + kl).mean(0)}
  if importance:
    values['iwae'] = log_mean_exp(-(recon + kl))
    value = -log_mean_exp(-(recon + hyper['beta'] * kl))
  else:
    # Capacity and free bits act on the batch's mean: every example carries its share.
    limits = hyper.get('capacity', 0.0), hyper.get('free_bits', 0.0)
    weights = jnp.tile(batch['mask'], samples) if 'mask' in batch else jnp.ones(kl.size)
    penalty = rate(each, *limits, weights) - jnp.average(kl.ravel(), weights=weights)
    value = values['recon'] + hyper['beta'] * (values['kl'] + penalty)
  return Bound(value, values, q, z, v)


def bound(model: Latent, **settings):
  """(loss, metrics) of a model, as a Player and a Method take them; see `terms`."""

  def loss(v, batch, key, hyper):
    found = terms(model, v, batch, key, hyper, train=True, **settings)
    return jnp.mean(found.value), (jax.tree.map(jnp.mean, found.values), found.variables.extra)

  def metrics(v, batch, key, hyper):
    found = terms(model, v, batch, key, hyper, train=False, **settings)
    return {**found.values, 'loss': found.value}

  return loss, metrics
