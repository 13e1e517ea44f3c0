"""What each latent does: its KL on data, its information about factors, and moves of it alone."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.compound import divergence
from vaejax.distributions import Gaussian
from vaejax.errors import UserError
from vaejax.inference.flat import flatten
from vaejax.latent import conditions
from vaejax.metrics.disentanglement import information
from vaejax.types import Batch, Method, Variables


class Posterior(NamedTuple):
  """Of B rows, [B, L] each: mean and scale of q(z|x), and KL(q(z_j|x) || p(z_j)) in nats; None if
  that is not a sum over latents."""

  mean: jax.Array
  scale: jax.Array
  kl: jax.Array | None


def posterior(method: Method, variables: Variables, batch: Batch, key: jax.Array) -> Posterior:
  """The posterior of a batch in the data's own range. Levels of a hierarchy are conditioned on a
  draw of those before them. Raises UserError for levels that are not diagonal Gaussians."""
  model = method.latent
  q, _ = model.posterior(variables, batch)
  given = conditions(model, batch)
  p, _ = model.prior(variables, batch[model.data].shape[0], given)
  z = q.sample(key)
  levels = q.factors(z) if isinstance(z, tuple) else (q,)
  if not all(isinstance(level, Gaussian) for level in levels):
    raise UserError(
      'traverse needs a posterior q(z|x) of diagonal Gaussians, but this run has another. Use a VAE'
    )
  kl = divergence(q, p, z)
  shapes = [level.mean.shape for level in levels]
  full = all(x.ndim == len(shape) for x, shape in zip(jax.tree.leaves(kl), shapes, strict=True))
  flat = lambda leaves: jnp.concatenate(
    [
      jnp.broadcast_to(x, shape).reshape(shape[0], -1)
      for x, shape in zip(leaves, shapes, strict=True)
    ],
    axis=1,
  )
  of = lambda name: flat([getattr(level, name) for level in levels])
  return Posterior(of('mean'), of('scale'), flat(jax.tree.leaves(kl)) if full else None)


def kl_to_gaussian(mean, scale) -> np.ndarray:
  """The mean KL of q(z_j|x) = N(mean, scale²), [N, L] each, to the Gaussian with the mean and the
  variance of their mixture, in nats, [L]: at least I(x; z_j)."""
  centre = mean.mean(axis=0)
  variance = np.maximum((np.square(mean - centre) + np.square(scale)).mean(axis=0), 1e-12)
  return 0.5 * (np.log(variance) - np.log(np.maximum(np.square(scale), 1e-24)).mean(axis=0))


def moves(start, values: np.ndarray, latents: np.ndarray) -> Any:
  """Latents with one of them changed at a time, [N * K * T, ...] of N starts [N, ...]: a flattened
  start with values[k, t] as its latent latents[k]."""
  flat, restore = flatten(jax.tree.map(np.asarray, start))
  count, steps = values.shape
  moved = np.repeat(flat, count * steps, axis=0).reshape(len(flat), count, steps, -1)
  index = np.broadcast_to(latents[None, :, None, None], (len(flat), count, steps, 1))
  np.put_along_axis(moved, index, values[None, :, :, None].astype(flat.dtype), axis=-1)
  return restore(moved.reshape(-1, flat.shape[1]))


def corrected(codes: np.ndarray, factors: np.ndarray, seed: int) -> np.ndarray:
  """The mutual information of each latent and each factor over the factor's entropy, I / H in
  [0, 1], [L, F].

  I is that of metrics.disentanglement.information.binned, less its value for the same rows in
  random order, which is the bias of counting few rows in many cells.
  """
  factors = np.stack([np.unique(f, return_inverse=True)[1].reshape(-1) for f in factors.T], axis=1)
  indices = information.bin_indices(codes)
  order = np.random.default_rng(seed).permutation(len(codes))
  tables, chance = information.binned(indices, factors), information.binned(indices[order], factors)
  entropies = np.where(tables.entropies > 0, tables.entropies, 1.0)
  return np.clip((tables.information - chance.information) / entropies, 0.0, 1.0)
