"""Pseudo-Gibbs sampling of what was not seen (Rezende et al. 2014, arXiv:1401.4082, appendix F).

It encodes the completed picture, decodes, puts what was seen back, and repeats that."""

from typing import Any, NamedTuple

import jax

from vaejax.errors import UserError
from vaejax.inference.observation import Observation, repeat
from vaejax.types import Batch, Latent, Variables


class Chains(NamedTuple):
  """The ends of Markov chains.

  Attributes:
    z: a tree of arrays [S, ...].
    image: the completed pictures, [S, H, W, C].
  """

  z: Any
  image: jax.Array


def check_imposed(observation: Observation) -> None:
  """Raises UserError if no part of the picture is known without noise."""
  if observation.impose is None:
    raise UserError(
      'Gibbs sampling needs a part of the picture that is known without noise. Use --how=optimise '
      'or --how=importance'
    )


def gibbs(
  model: Latent,
  v: Variables,
  observation: Observation,
  seen: Batch,
  given: Batch,
  key: jax.Array,
  chains: int,
  sweeps: int,
  draw: bool = True,
) -> Chains:
  """Returns chains of z ~ q(z|x), x ~ p(x|z) with what was seen imposed on x.

  If q(z|x) is the exact posterior, this is Gibbs sampling of p(x, z|observed). Otherwise it
  approximates it.

  Args:
    seen, given: the observation and the conditions of one example, without a batch axis.
    draw: whether x is a draw of p(x|z), as in the paper, or its mean.

  Raises UserError for an observation with noise.
  """
  check_imposed(observation)
  seen, given = repeat(seen, chains), repeat(given, chains)

  def sweep(i, x):
    z_key, x_key = jax.random.split(jax.random.fold_in(key, i))
    p, _ = model.likelihood(v, encode(x, z_key), given)
    return observation.impose(p.sample(x_key) if draw else p.mean, seen)

  def encode(x, key):
    q, _ = model.posterior(v, {**given, model.data: x})
    return q.sample(key)

  x = jax.lax.fori_loop(0, sweeps, sweep, observation.start(seen))
  z = encode(x, jax.random.fold_in(key, sweeps))
  p, _ = model.likelihood(v, z, given)
  return Chains(z, observation.expected(p.mean, seen))
