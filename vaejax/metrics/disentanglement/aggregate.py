"""Densities of the aggregate posterior q(z) = 1/N Σ_n q(z|x_n) of diagonal Gaussians at draws of z,
over all rows, and over the rows that share a factor's value with the draw."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.metrics.disentanglement.information import Tables, entropy

CHUNK = 32  # draws at once: 32 · 10,000 · 10 densities are 13 MB


class Densities(NamedTuple):
  """Log densities, in nats, at S draws of z. Draw i is from the posterior of row i.

  Attributes:
    conditional: log q(z|x) of that row, [S].
    joint: log q(z), [S].
    joint_others: the same without that row, [S].
    marginals: log q(z_j), [S, L].
    given: log q(z_j | v_f) over the rows with the same value of factor f, [S, L, F].
  """

  conditional: np.ndarray
  joint: np.ndarray
  joint_others: np.ndarray
  marginals: np.ndarray
  given: np.ndarray


def densities(mean, scale, z, factors=None) -> Densities:
  """The densities at z [S, L], drawn from the first S of the posteriors over [N, L].

  factors: [N, F]; None for none.
  """
  count = len(mean)
  factors = np.zeros((count, 0), np.int32) if factors is None else np.asarray(factors, np.int32)
  size = -(-len(z) // CHUNK) * CHUNK
  padded = np.resize(np.asarray(z, np.float32), (size, z.shape[1]))  # repeats draws
  values = _densities(*(jnp.asarray(x, jnp.float32) for x in (mean, scale, padded)), factors)
  return Densities(*(np.asarray(x, np.float64)[: len(z)] for x in values))


@jax.jit
def _densities(mean, scale, z, factors):
  count = mean.shape[0]
  log_norm = -jnp.log(scale) - 0.5 * np.log(2 * np.pi)

  def chunk(start, z):
    error = (z[:, None] - mean) / scale
    log_q = log_norm - 0.5 * jnp.square(error)  # [S, N, L]
    total = jnp.sum(log_q, axis=-1)
    index = start + jnp.arange(CHUNK)
    conditional = jnp.take_along_axis(total, jnp.minimum(index, count - 1)[:, None], axis=1)[:, 0]
    others = jnp.where(jnp.arange(count) == index[:, None], -jnp.inf, total)
    joint = jax.nn.logsumexp(total, axis=1) - jnp.log(count)
    joint_others = jax.nn.logsumexp(others, axis=1) - jnp.log(count - 1)
    largest = jnp.max(log_q, axis=1)
    q = jnp.exp(log_q - largest[:, None])
    marginals = largest + jnp.log(jnp.mean(q, axis=1))
    same = (factors == factors[jnp.minimum(index, count - 1)][:, None]).astype(q.dtype)
    sums = jnp.einsum('snl,snf->slf', q, same, precision='highest')
    given = largest[..., None] + jnp.log(sums / jnp.sum(same, axis=1)[:, None])
    return conditional, joint, joint_others, marginals, given

  starts = jnp.arange(z.shape[0] // CHUNK) * CHUNK
  chunks = z.reshape(-1, CHUNK, z.shape[1])
  values = jax.lax.map(lambda x: chunk(*x), (starts, chunks))
  return jax.tree.map(lambda x: x.reshape(z.shape[0], *x.shape[2:]), values)


def gap_tables(of_draws: Densities, factors, picked=None) -> Tables:
  """The mutual information I(z_j; v_f) = E[log q(z_j|v_f) - log q(z_j)] of the aggregate posterior
  (Chen et al. 2018, arXiv:1802.04942, appendix B), and the entropies of factors [N, F].

  q(z) is a mean over these rows, including the row of each draw, so information about factors with
  few rows per value is overestimated if posteriors are narrow.

  picked: the draws to average over, which may be repeated; None: all.
  """
  picked = slice(None) if picked is None else picked
  gain = of_draws.given[picked] - of_draws.marginals[picked][..., None]
  counts = [np.bincount(column) for column in np.asarray(factors).T]
  return Tables(np.maximum(gain.mean(axis=0), 0.0), np.array([entropy(c) for c in counts]))
