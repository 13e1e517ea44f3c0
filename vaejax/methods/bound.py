"""The evidence lower bound of any latent-variable model as a loss: with β, or importance-weighted.
limits.py adds capacity and free bits."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.compound import divergence
from vaejax.distributions import per_example
from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.methods import lpips
from vaejax.methods.limits import LIMITS, Objective, objective
from vaejax.nets.heads import Target
from vaejax.objectives.elbo import log_mean_exp
from vaejax.types import BatchMeans, Example, Latent, Variables


def settings(config, example: Example) -> dict[str, Any]:
  """The arguments of `bound` from a config's `objective` and data. Raises UserError."""
  objective = config.objective
  choice('objective.name', objective.name, {'elbo', 'iwae'})
  choice('objective.kl', objective.kl, {'analytic', 'sampled'})
  importance = objective.name == 'iwae'
  unused = [name for name in LIMITS if config.hyper.get(name, 0)]
  if importance and unused:
    raise UserError(f'hyper.{unused[0]} has no effect with objective.name=iwae. Set it to 0')
  analytic = objective.kl == 'analytic' and not importance
  return {
    'samples': objective.samples,
    'importance': importance,
    'analytic': analytic,
    'fitted_scale': config.model.likelihood == 'sigma_vae',
    'perceptual': lpips.term(config, example),
  }


class Bound(NamedTuple):
  """The result of `terms`.

  Attributes:
    value: the loss [B], a negative bound, without capacity and free bits.
    values: its named terms, [B] each, and what `objective` needs beyond them.
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
  model: Latent,
  v,
  batch,
  key,
  hyper,
  train,
  whole: BatchMeans | None = None,
  samples=1,
  importance=False,
  analytic=True,
  fitted_scale=False,
  perceptual=None,
) -> Bound:
  """The bound of every row of a batch, in nats.

  Args:
    hyper: 'beta', and optionally 'capacity', 'free_bits', and the weight of `perceptual`.
    whole: see limits.objective.
    samples: K, the draws of z per example. Their bounds are averaged, or with `importance` combined
      to the importance-weighted bound IWAE-K.
    analytic: whether the KL is computed in closed form where possible, rather than at the draws.
    fitted_scale: whether the likelihood fits its scale to the batch.
    perceptual: another term, from the means of p(x|z) and x, see lpips.term; None for none.
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
  target = fit_target(repeat(x), whole)
  p, v = model.likelihood(v, z, repeat(given), target=target, train=train)
  recon = -per_example(p.log_prob(repeat(x))).reshape(samples, n)
  prior, _ = model.prior(v, n, given)
  kl_terms = jax.vmap(lambda z: divergence(q, prior, z, analytic))(draws)
  kl = jax.vmap(per_example)(kl_terms)
  values = {'recon': recon.mean(0), 'kl': kl.mean(0), 'elbo': -(recon + kl).mean(0)}
  if fitted_scale:
    values['squared_error'] = squared_error(p, repeat(x)).reshape(samples, n).mean(0)
  if importance:
    values['iwae'] = log_mean_exp(-(recon + kl))
    value = -log_mean_exp(-(recon + hyper['beta'] * kl))
  else:
    values['kl_terms'] = rows(jax.tree.map(lambda a: a.mean(0), kl_terms))
    value = values['recon'] + hyper['beta'] * values['kl']
  if perceptual:
    values['lpips'] = perceptual(p.mean, x).reshape(samples, n).mean(0)
    value = value + hyper[lpips.WEIGHT] * values['lpips']
  return Bound(value, values, q, z, v)


def rows(tree) -> jax.Array:
  """The leaves [B, ...] of a tree, flattened and concatenated to [B, F]."""
  return jnp.concatenate([a.reshape(a.shape[0], -1) for a in jax.tree.leaves(tree)], axis=-1)


def squared_error(p, x) -> jax.Array:
  """The mean squared error of the means of p(x|z), [B]."""
  return jnp.mean(rows(jnp.square(x - p.mean)), axis=-1)


def fit_target(x, whole: BatchMeans | None):
  """The `target` of a likelihood for data x that is the whole batch, or a microbatch of `whole`."""
  if whole is None or 'squared_error' not in whole.values:
    return x
  return Target(x, whole.values['squared_error'], whole.microbatches)


def bound(model: Latent, **settings) -> Objective:
  """The bound of a model as an objective. The settings are those of `terms`."""

  def evaluate(v, batch, key, hyper, train, whole=None):
    result = terms(model, v, batch, key, hyper, train, whole, **settings)
    return result.value, result.values, result.variables

  return objective(evaluate)
