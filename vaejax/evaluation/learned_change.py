"""The change of latents from one side of an edit to the other, learned from training rows or from
the pictures of folders."""

from typing import NamedTuple

import jax
import numpy as np

from vaejax.errors import UserError
from vaejax.evaluation.attribute_rows import Rows
from vaejax.evaluation.sides import Side
from vaejax.inference import attributes

MIN_PAIRS = 50  # from which on the regression is preferred


class Change(NamedTuple):
  """A learned change: of latents, how it was learned, and that of pixels as weights [N] of training
  rows plus an image of the folders."""

  shift: attributes.Shift
  how: str
  weights: np.ndarray
  image: np.ndarray | float


def learn(model, rows: Rows | None, remove: Side, add: Side, vector: str, seed: int) -> Change:
  """The change from one side to the other. Raises UserError if a side has no training rows, or if
  the pairs that `vector` needs are not there."""
  pairs = np.empty((0, 2), int)
  if rows is not None and None not in (remove.value, add.value):
    pairs = attributes.partners(rows.keys, rows.values, remove.value, add.value)
  if vector in ('regression', 'pairs') and len(pairs) < 2:
    raise UserError(
      f'vector={vector} needs pairs of rows that differ in one factor alone, of which there are '
      f'{len(pairs)}. Use vector=means'
    )
  groups = rows.groups[pairs[:, 0]] if len(pairs) else pairs[:, 0]
  if vector == 'regression' and len(np.unique(groups)) < 2:
    raise UserError(
      f'vector=regression needs pairs of two groups of variants, but all {len(pairs)} are of one. '
      'Use vector=pairs'
    )
  enough = len(pairs) >= MIN_PAIRS and len(np.unique(groups)) > 1
  if vector in ('regression', 'pairs') or (vector == 'auto' and enough):
    before, after = (pick(rows.z, pairs[:, k]) for k in (0, 1))
    weights = np.zeros(len(rows.values))
    np.add.at(weights, pairs[:, 1], 1 / len(pairs))
    np.add.at(weights, pairs[:, 0], -1 / len(pairs))
    if vector == 'pairs':
      return Change(attributes.of_pairs(before, after), f'{len(pairs)} pairs', weights, 0.0)
    shift = attributes.regressed(before, after, groups, seed)
    how = f'regression on {len(pairs)} pairs, penalty {shift.penalty:g}'
    return Change(shift, how, weights, 0.0)
  latents, image, weights = [], 0.0, np.zeros(0 if rows is None else len(rows.values))
  for sign, one, other in ((-1, remove, add), (1, add, remove)):
    if one.pictures is not None:
      latents.append(model.encode(one.pictures))
      image = image + sign * one.pictures.mean(axis=0)
      continue
    has = rows.values == one.value if one.value is not None else rows.values != other.value
    has &= rows.values >= 0
    if not has.any():
      raise UserError(f'no training row has {one.title}. Use more with --rows')
    latents.append(pick(rows.z, np.flatnonzero(has)))
    weights += sign * has / has.sum()
  counts = [len(jax.tree.leaves(z)[0]) for z in latents]
  how = f'means of {counts[1]} rows minus {counts[0]}'
  return Change(attributes.of_means(*latents), how, weights, image)


def pick(tree, index):
  """The rows of latents or of fields at an index."""
  return jax.tree.map(lambda x: x[index], tree)
