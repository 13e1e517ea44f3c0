"""Anomaly scores of examples under a latent-variable model: larger means less like the training
data.

Every row has the same random draws, from a fixed key, so a score depends on the checkpoint and the
example alone: not on the other rows, their order, or the size of a batch.
"""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from vaejax import latent
from vaejax.compound import divergence
from vaejax.distributions import per_example
from vaejax.types import Batch, Latent, Method, Variables

SEED = 0  # of the draws
DRAWS, SAMPLES = 16, 128  # of z for the ELBO, and for importance sampling

# Rows that a decoder processes at once: few enough for a CPU's cache.
ROWS = 2048

# In nats, except the squared error, a sum over elements in the data's own range, and
# error_per_variation, which divides it by the image's total variation: an image with few strokes
# has a small error whatever it shows (compare Serra et al. 2020, arXiv:1909.11480, who subtract the
# size of the image's PNG).
NAMES = 'neg_elbo', 'neg_log_prob', 'recon', 'kl', 'squared_error', 'error_per_variation'
RATIO = 'ratio'  # log p(x) of a background model - log p(x), in nats (Ren et al. 2019, equation 2)


def names(method: Method) -> tuple[str, ...]:
  """Those of NAMES that a method has: () if it has no p(x|z), like a GAN."""
  has = dict.fromkeys(('neg_elbo', 'recon', 'kl'), method.latent is not None)
  has |= {
    'neg_log_prob': 'log_weight' in method.predict,
    'squared_error': 'reconstruct' in method.predict,
    'error_per_variation': 'reconstruct' in method.predict,
  }
  return tuple(name for name in NAMES if has[name])


def bound_terms(model: Latent, v: Variables, batch: Batch, key: jax.Array, draws: int):
  """-log p(x|z) and KL(q(z|x) || p(z)) in nats, [B] each, averaged over draws of z. The KL is in
  closed form where there is one."""
  x, given = batch[model.data], latent.conditions(model, batch)
  q, _ = model.posterior(v, batch)
  prior, _ = model.prior(v, x.shape[0], given)

  def draw(key):
    z = q.sample(key)
    likelihood, _ = model.likelihood(v, z, given)
    return -per_example(likelihood.log_prob(x)), per_example(divergence(q, prior, z))

  recon, kl = jax.vmap(draw)(jax.random.split(key, draws))
  return jnp.mean(recon, axis=0), jnp.mean(kl, axis=0)


def neg_log_likelihood(
  method: Method, v: Variables, batch: Batch, key: jax.Array, samples: int, at_once: int
) -> jax.Array:
  """-log p(x) in nats by importance sampling, [B], see latent.log_likelihood."""
  weight = lambda key: method.predict['log_weight'](v, batch, key)['log_weight']
  return -latent.log_likelihood(weight, samples, at_once, key).log_likelihood


def make(method: Method, draws: int, samples: int) -> Callable[..., Mapping[str, jax.Array]]:
  """Returns (variables, batch) -> {name: [B]} for the `names` of the method. Pure.

  Args:
    draws: of z, for the terms of the ELBO.
    samples: of importance sampling.
  """
  known = names(method)

  def of_one(v: Variables, row: Batch, at_once: int):
    """The scores of a batch of one, [1] each."""
    bound_key, weight_key = jax.random.split(jax.random.key(SEED))
    scores = {}
    if 'neg_elbo' in known:
      recon, kl = bound_terms(method.latent, v, row, bound_key, draws)
      scores |= {'neg_elbo': recon + kl, 'recon': recon, 'kl': kl}
    if 'neg_log_prob' in known:
      scores['neg_log_prob'] = neg_log_likelihood(method, v, row, weight_key, samples, at_once)
    if 'squared_error' in known:
      mean = method.predict['reconstruct'](v, row, bound_key)
      names = [name for name in mean if name in row]
      error = sum(jnp.sum(jnp.square(mean[name] - row[name])) for name in names)
      variation = sum(total_variation(row[name]) for name in names)
      scores['squared_error'] = error[None]
      scores['error_per_variation'] = (error / jnp.maximum(variation, 1.0))[None]
    return scores

  return row_by_row(of_one, samples)


def total_variation(x: jax.Array) -> jax.Array:
  """The sum of absolute differences of neighbouring pixels of images [..., H, W, C]: []."""
  return sum(jnp.sum(jnp.abs(jnp.diff(x, axis=axis))) for axis in (-3, -2))


def make_nll(method: Method, samples: int) -> Callable[..., jax.Array]:
  """Returns (variables, batch) -> -log p(x) [B], with the same draws as `make`."""

  def of_one(v: Variables, row: Batch, at_once: int):
    _, key = jax.random.split(jax.random.key(SEED))
    return neg_log_likelihood(method, v, row, key, samples, at_once)

  return row_by_row(of_one, samples)


def row_by_row(of_one: Callable, samples: int) -> Callable:
  """(variables, batch) -> of_one(variables, row, at_once) of every row, [B]."""

  def of_rows(v: Variables, batch: Batch):
    n = len(jax.tree.leaves(batch)[0])
    at_once = max(1, min(samples, ROWS // n))
    one = lambda row: of_one(v, jax.tree.map(lambda x: x[None], row), at_once)
    return jax.tree.map(lambda x: x[:, 0], jax.vmap(one)(dict(batch)))

  return of_rows
