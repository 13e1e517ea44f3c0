"""Latents of the largest posterior density given an observation."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from vaejax.errors import UserError
from vaejax.inference.observation import Observation, repeat
from vaejax.types import Batch, Latent, Variables


class Modes(NamedTuple):
  """Latents, the best first.

  Attributes:
    z: a tree of arrays [S, ...].
    log_joint: log p(z) + log p(observed|z) in nats, [S], descending.
  """

  z: Any
  log_joint: jax.Array


def check_real(model: Latent, v: Variables, n: int, given: Batch) -> None:
  """Raises UserError if some latents are codes, which have no gradient."""
  z = jax.eval_shape(lambda: model.prior(v, n, given)[0].sample(jax.random.key(0)))
  if any(not jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(z)):
    raise UserError(
      'latents that are codes cannot be optimised, because they have no gradient. Use --how=gibbs '
      'or --how=importance'
    )


def optimise(
  model: Latent,
  v: Variables,
  observation: Observation,
  seen: Batch,
  given: Batch,
  key: jax.Array,
  starts: int,
  steps: int,
  rate: float,
) -> Modes:
  """Maximises log p(z) + log p(observed|z) from several draws of the prior, with Adam whose rate
  falls to 0 along a cosine.

  Args:
    seen, given: the observation and the conditions of one example, without a batch axis.
    starts: the number of draws of the prior to start from.
    rate: the first rate of Adam, about the first step's size in every dimension.

  Raises UserError for codes.
  """
  seen, given = repeat(seen, starts), repeat(given, starts)
  check_real(model, v, starts, given)
  prior, _ = model.prior(v, starts, given)

  def log_joint(z):
    p, _ = model.likelihood(v, z, given)
    return prior.total_log_prob(z) + observation.log_prob(p, seen)

  tx = optax.adam(optax.cosine_decay_schedule(rate, steps))
  gradient = jax.grad(lambda z: -jnp.sum(log_joint(z)))

  def step(_, carry):
    z, state = carry
    updates, state = tx.update(gradient(z), state)
    return optax.apply_updates(z, updates), state

  z = prior.sample(key)
  z, _ = jax.lax.fori_loop(0, steps, step, (z, tx.init(z)))
  values = log_joint(z)
  order = jnp.argsort(-values)
  return Modes(jax.tree.map(lambda leaf: leaf[order], z), values[order])
