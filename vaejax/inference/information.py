"""KL of each latent on data, and the moves of one latent at a time."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.compound import divergence
from vaejax.distributions import Gaussian
from vaejax.inference.points import flatten
from vaejax.latent import conditions
from vaejax.types import Batch, Method, Variables


class Posterior(NamedTuple):
  """Of B rows, each [B, ...] or a tuple: mean and scale of q(z|x), and KL(q(z_j|x) || p(z_j)) in
  nats, None if the KL is not a sum over latents."""

  mean: Any
  scale: Any
  kl: Any


def posterior(method: Method, variables: Variables, batch: Batch, key: jax.Array) -> Posterior:
  """The posterior of a batch in the data's own range. Levels of a hierarchy are conditioned on a
  draw of those before."""
  model = method.latent
  q, _ = model.posterior(variables, batch)
  given = conditions(model, batch)
  p, _ = model.prior(variables, batch[model.data].shape[0], given)
  kl = divergence(q, p, q.sample(key))
  same = jax.tree.map(jnp.shape, kl) == jax.tree.map(jnp.shape, q.mean)
  return Posterior(q.mean, q.scale, kl if same else None)


def kl_to_gaussian(mean, scale) -> np.ndarray:
  """The mean KL of q(z_j|x) = N(mean, scale²), [N, L] each, to the Gaussian with the mean and the
  variance of their mixture, in nats, [L]: at least I(x; z_j)."""
  centre = mean.mean(axis=0)
  variance = np.maximum((np.square(mean - centre) + np.square(scale)).mean(axis=0), 1e-12)
  return 0.5 * (np.log(variance) - np.log(np.maximum(np.square(scale), 1e-24)).mean(axis=0))
