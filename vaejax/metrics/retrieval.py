"""Retrieval: which entry of a gallery is nearest to a query."""

import jax
import jax.numpy as jnp
import numpy as np


@jax.jit
def squared_distances(x: jax.Array, y: jax.Array) -> jax.Array:
  """The squared Euclidean distances of rows [N, F] and [M, F], [N, M]."""
  product = jnp.matmul(x, y.T, precision='highest')
  return jnp.sum(x * x, -1)[:, None] - 2 * product + jnp.sum(y * y, -1)


def ranks(distances: np.ndarray, right: np.ndarray | None = None) -> np.ndarray:
  """The rank of the right entry for each query, [N] from 1: one more than the number of entries
  that are nearer. Among equally near ones it is the middle rank.

  Args:
    distances: of N queries from M entries, [N, M].
    right: the index of the right entry of each query, [N]; None: that of the query.
  """
  distances = np.asarray(distances)
  rows = np.arange(len(distances))
  own = distances[rows, rows if right is None else right][:, None]
  nearer, equal = np.sum(distances < own, axis=1), np.sum(distances == own, axis=1)
  return 1 + nearer + (equal - 1) / 2


def recall(distances: np.ndarray, k: int, right: np.ndarray | None = None) -> np.ndarray:
  """Whether the right entry is among the k nearest ones, 1.0 or 0.0 for each query, [N]."""
  return (ranks(distances, right) <= k).astype(np.float64)
