"""Mutual information of each latent with each factor, in nats; MIG by both of its definitions, and
modularity.

Factors are whole numbers from 0, [N, F]. A table of mutual information is [L, F].
"""

from typing import NamedTuple

import numpy as np

BINS = 20  # of each latent, as in disentanglement_lib (Locatello et al. 2019, arXiv:1811.12359)


class Tables(NamedTuple):
  """Mutual information [L, F] of latents and factors, and the entropies [F] of the factors."""

  information: np.ndarray
  entropies: np.ndarray


def bin_indices(codes: np.ndarray, bins: int = BINS) -> np.ndarray:
  """The bin, 0 to bins - 1, of every value of codes [N, L]: bins have equal width between the least
  and the largest value of a latent. A constant latent is in one bin."""
  low, high = codes.min(axis=0), codes.max(axis=0)
  width = np.where(high > low, high - low, 1.0)
  return np.minimum(((codes - low) / width * bins).astype(np.int64), bins - 1)


def entropy(counts: np.ndarray) -> np.ndarray:
  """The entropy of proportions along the last axis, in nats, from counts or other amounts; 0 if all
  are 0."""
  p = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1e-300)
  return -np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0), axis=-1)


def binned(indices: np.ndarray, factors: np.ndarray, weights: np.ndarray | None = None) -> Tables:
  """The tables of discrete latents: `bin_indices` [N, L].

  weights: [N], how often each row counts; None: once.
  """
  latents, values = indices.shape[1], factors.max(axis=0) + 1
  bins = int(indices.max()) + 1
  information, entropies = np.empty((latents, len(values))), np.empty(len(values))
  for f, count in enumerate(values):
    for j in range(latents):
      cells = indices[:, j] * count + factors[:, f]
      joint = np.bincount(cells, weights, bins * count).reshape(bins, count)
      of_factor = entropy(joint.sum(axis=0))
      information[j, f] = of_factor + entropy(joint.sum(axis=1)) - entropy(joint.ravel())
    entropies[f] = of_factor
  return Tables(np.maximum(information, 0.0), entropies)


def mig(tables: Tables) -> float:
  """The mutual information gap: the mean over factors of (I_1 - I_2) / H, for the two latents with
  the most information about a factor of entropy H (Chen et al. 2018, arXiv:1802.04942, equation 8).

  Tables from posterior densities (see `aggregate.gap_tables`) give its original definition, and
  `binned` tables of posterior means give that of disentanglement_lib. A single latent has I_2 = 0.
  """
  ordered = np.sort(np.vstack([np.zeros_like(tables.information[:1]), tables.information]), axis=0)
  return float(np.mean((ordered[-1] - ordered[-2]) / tables.entropies))


def modularity(tables: Tables) -> float:
  """The mean over latents of 1 - Σ_f (I_f - t_f)² / (θ² (F - 1)), where θ is the largest I_f of a
  latent, t_f is θ at that factor and 0 at others, and F is the number of factors (Ridgeway & Mozer
  2018, arXiv:1802.05312, section 3). 1: each latent depends on one factor at most.

  Latents without information count 0, as in disentanglement_lib. Raises ValueError for one factor.
  """
  squares = np.square(tables.information)
  if squares.shape[1] < 2:
    raise ValueError('modularity is defined for two factors or more')
  largest = squares.max(axis=1)
  deviation = (squares.sum(axis=1) - largest) / np.where(largest > 0, largest, 1.0)
  scores = np.where(largest > 0, 1 - deviation / (squares.shape[1] - 1), 0.0)
  return float(np.mean(scores))
