"""The evidence lower bound of any latent-variable model as a loss: β, capacity, free bits, and the
importance-weighted bound."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.compound import divergence
from vaejax.distributions import per_example
from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.nets.heads import Target
from vaejax.objectives.elbo import log_mean_exp, rate_terms
from vaejax.types import BatchMeans, Latent, Variables

# Entries of `hyper` whose terms are functions of the mean KL over a batch.
LIMITS = ('capacity', 'free_bits')


def settings(config) -> dict[str, Any]:
  """The arguments of `bound` from a config's `objective`. Raises UserError."""
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
) -> Bound:
  """The bound of every row of a batch, in nats.

  Args:
    hyper: 'beta', and optionally 'capacity' and 'free_bits'.
    whole: see `objective`.
    samples: K, the draws of z per example. Their bounds are averaged, or with `importance` combined
      to the importance-weighted bound IWAE-K.
    analytic: whether the KL is computed in closed form where possible, rather than at the draws.
    fitted_scale: whether the likelihood fits its scale to the batch.
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


class Objective(NamedTuple):
  """A loss and its metrics, for a Player and a Method: `loss` and `means` as in Player, `metrics`
  and `pooled` as in Method."""

  loss: Callable
  means: Callable
  metrics: Callable
  pooled: Callable


def bound(model: Latent, **settings) -> Objective:
  """The bound of a model as an objective. The settings are those of `terms`."""

  def evaluate(v, batch, key, hyper, train, whole=None):
    result = terms(model, v, batch, key, hyper, train, whole, **settings)
    return result.value, result.values, result.variables

  return objective(evaluate)


class OfMeans(NamedTuple):
  """A term of a loss that is a function of means over the batch.

  Attributes:
    rows: the name of what it needs of each example among the terms of a loss; no metric.
    means: rows -> their means over the batch.
    terms: (rows, means over the whole batch, hyper) -> [B], which have the mean and the gradient of
      the term.
    name: of the term among the metrics.
  """

  rows: str
  means: Callable
  terms: Callable
  name: str


def objective(evaluate, of_means: OfMeans | None = None) -> Objective:
  """The objective of a loss, to which it adds capacity and free bits, and a term of means.

  evaluate: (variables, batch, key, hyper, train, whole) -> (the loss [B], its named terms [B], the
    updated variables). `whole` is the BatchMeans of a microbatch, None for a whole batch. Among the
    terms may be 'kl_terms' [B, F], the KL of each latent dimension, which hyper['beta'] multiplies
    in the loss and LIMITS apply to; and 'squared_error' [B], which the likelihood's scale depends
    on, through its mean. These two are not metrics.
  """

  def limits(hyper):
    return {name: hyper[name] for name in LIMITS if name in hyper}

  def limited(value, kl_terms, mean_kl, hyper):
    """The loss [B] with the limits of `hyper` on its mean KL [F]."""
    excess = rate_terms(kl_terms, mean_kl, **limits(hyper)) - jnp.sum(kl_terms, axis=-1)
    return value + hyper['beta'] * excess

  def add_term(value, values, hyper, means=None):
    """The loss and its named terms with the term of means, which are by default those of these
    rows."""
    if of_means is None:
      return value, values
    rows = values.pop(of_means.rows)
    term = of_means.terms(rows, of_means.means(rows) if means is None else means, hyper)
    return value + term, {**values, of_means.name: term}

  def loss(v, batch, key, hyper, whole=None):
    value, values, v = evaluate(v, batch, key, hyper, True, whole)
    means = None if whole is None else whole.values.get('of_means')
    value, values = add_term(value, values, hyper, means)
    kl_terms, _ = values.pop('kl_terms', None), values.pop('squared_error', None)
    if kl_terms is not None and limits(hyper):
      mean_kl = jnp.mean(kl_terms, axis=0) if whole is None else whole.values['kl_terms']
      value = limited(value, kl_terms, mean_kl, hyper)
    return jnp.mean(value), (jax.tree.map(jnp.mean, values), v.extra)

  def means(v, batch, key, hyper):
    def compute():
      _, values, after = evaluate(v, batch, key, hyper, True, None)
      kept = ['squared_error', *(['kl_terms'] if limits(hyper) else [])]
      means = {k: jnp.mean(values[k], axis=0) for k in kept if k in values}
      if of_means:
        means['of_means'] = of_means.means(values[of_means.rows])
      return means, after.extra

    shapes, _ = jax.eval_shape(compute)
    if 'squared_error' in shapes or of_means or not shapes:
      return compute()
    # Without limits the loss is linear in the KL, so any means will do.
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    return jax.lax.cond(sum(limits(hyper).values()) > 0, compute, lambda: (zeros, v.extra))

  def metrics(v, batch, key, hyper):
    value, values, _ = evaluate(v, batch, key, hyper, False, None)
    values.pop('squared_error', None)
    if not limits(hyper):
      values.pop('kl_terms', None)
    return {**values, 'loss': value}

  def pooled(values, hyper):
    values = dict(values)
    kl_terms = values.pop('kl_terms', None)
    if kl_terms is not None:
      values['loss'] = limited(values['loss'], kl_terms, jnp.mean(kl_terms, axis=0), hyper)
    value, values = add_term(values['loss'], values, hyper)
    return {**values, 'loss': value}

  return Objective(loss, means, metrics, pooled)
