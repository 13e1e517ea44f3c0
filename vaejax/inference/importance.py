"""Draws of latents given an observation, by importance resampling (Rubin 1987, JASA 82:543-546)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vaejax.distributions import per_example
from vaejax.inference.observation import Observation, repeat
from vaejax.types import Batch, Latent, Variables


class Resampled(NamedTuple):
  """Draws from the weighted ones.

  Attributes:
    z: a tree of arrays [S, ...].
    log_evidence: the estimate of log p(observed) in nats, [].
    effective_samples: (sum of weights)^2 / sum of squared weights, from 1 to the number of draws.
  """

  z: Any
  log_evidence: jax.Array
  effective_samples: jax.Array


def importance(
  model: Latent,
  v: Variables,
  observation: Observation,
  seen: Batch,
  given: Batch,
  key: jax.Array,
  versions: int,
  draws: int,
  completed: jax.Array | None = None,
) -> Resampled:
  """Draws z from a proposal, weights them by p(z) p(observed|z) / proposal, and resamples.

  Args:
    seen, given: the observation and the conditions of one example, without a batch axis.
    versions: the number of latents to return, drawn with replacement in proportion to the weights.
    draws: the number of draws of the proposal.
    completed: guesses of x [N, H, W, C], where 2 N divides `draws`. Half of the draws come from
      their q(z|x) and half from the prior, and the proposal of each pair is the mixture of both
      (Owen & Zhou 2000, JASA 95, 135-143). It bounds the weights: q(z|x) of a full picture is
      narrower than p(z|observed). None: all come from the prior.
  """
  seen, given = repeat(seen, draws), repeat(given, draws)
  draw_key, pick_key = jax.random.split(key)
  prior, _ = model.prior(v, draws, given)
  if completed is None:
    z, log_ratio = prior.sample(draw_key), jnp.zeros(draws)
  else:
    # Draws 2 k and 2 k + 1 belong to one guess: the first is from its q, the second from the prior.
    x = jnp.repeat(completed, draws // len(completed), axis=0)
    q, _ = model.posterior(v, {**given, model.data: x})
    keys = jax.random.split(draw_key)
    z = jax.tree.map(alternate, q.sample(keys[0]), prior.sample(keys[1]))
    log_p, log_q = prior.total_log_prob(z), per_example(q.log_prob(z))
    log_ratio = log_p - (jnp.logaddexp(log_p, log_q) - jnp.log(2))
  p, _ = model.likelihood(v, z, given)
  log_weights = log_ratio + observation.log_prob(p, seen)
  picked = jax.random.categorical(pick_key, log_weights, shape=(versions,))
  total, squares = (jax.nn.logsumexp(k * log_weights) for k in (1, 2))
  return Resampled(
    jax.tree.map(lambda leaf: leaf[picked], z),
    total - jnp.log(draws),
    jnp.exp(2 * total - squares),
  )


def alternate(even: jax.Array, odd: jax.Array) -> jax.Array:
  """Rows 0, 2, ... of one array and rows 1, 3, ... of the other, [N, ...]."""
  rows = jnp.arange(len(even)).reshape(-1, *[1] * (even.ndim - 1))
  return jnp.where(rows % 2 == 0, even, odd)
