"""Capacity and free bits: limits on the mean KL over a batch, which any loss with a KL can have."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from vaejax.objectives.elbo import rate_terms

# Entries of `hyper` whose terms are functions of the mean KL over a batch.
LIMITS = ('capacity', 'free_bits')


class Objective(NamedTuple):
  """A loss and its metrics, for a Player and a Method: `loss` and `means` as in Player, `metrics`
  and `pooled` as in Method."""

  loss: Callable
  means: Callable
  metrics: Callable
  pooled: Callable


class OfMeans(NamedTuple):
  """A term of a loss that is a function of means over the batch.

  Attributes:
    rows: names the entry of the loss's terms that it is computed from, which is not a metric.
    means: rows -> their means over the batch.
    terms: (rows, means over the whole batch, hyper) -> [B], which have the mean and the gradient of
      the term.
    name: names the term among the metrics.
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
    """The loss and its named terms, with the term of means added. By default the means are those of
    these rows."""
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
    if of_means is None:
      return values
    value, values = add_term(values['loss'], values, hyper)
    return {**values, 'loss': value}

  return Objective(loss, means, metrics, pooled)
