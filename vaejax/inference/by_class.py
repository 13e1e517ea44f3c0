"""The class of an example by Bayes' rule, from a model whose densities are given the label:
p(y|x) is proportional to p(x|y) p(y)."""

import jax
import jax.numpy as jnp

from vaejax import latent, scores
from vaejax.types import Latent, Method, Variables

BOUNDS = 'importance', 'variational'
CONDITIONS = ('label',)  # those of a model that this is for


def applies(method: Method) -> bool:
  """Whether the densities of a method are given the label and nothing else."""
  return method.latent is not None and tuple(method.latent.conditions) == CONDITIONS


def log_likelihoods(
  model: Latent,
  v: Variables,
  x: jax.Array,
  classes: int,
  key: jax.Array,
  draws: int,
  at_once: int,
  bound: str = 'importance',
) -> jax.Array:
  """log p(x|y) of every class y in nats, [B, classes], from below.

  All classes have the same noise, so that their differences have less of it.

  Args:
    model: one that `applies`.
    x: [B, ...] in the range of the data.
    draws: of z, for each class.
    at_once: how many of them run in parallel.
    bound: 'importance' for the bound of Burda et al. 2016 (equation 8), 'variational' for the ELBO,
      a mean over the draws.
  """

  def of_class(label):
    batch = {model.data: x, 'label': jnp.full(x.shape[0], label, jnp.int32)}
    if bound == 'variational':
      recon, kl = scores.bound_terms(model, v, batch, key, draws)
      return -recon - kl
    weight = lambda key: latent.log_weight(model, v, batch, key)
    return latent.log_likelihood(weight, draws, at_once, key).log_likelihood

  return jax.vmap(of_class, out_axes=1)(jnp.arange(classes))


def posterior(log_likelihood: jax.Array, prior: jax.Array) -> jax.Array:
  """p(y|x) [B, classes] from log p(x|y) [B, classes] and p(y) [classes]. A class of probability 0
  keeps it."""
  return jax.nn.softmax(log_likelihood + jnp.log(prior))
