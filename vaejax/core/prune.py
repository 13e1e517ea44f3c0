"""Gradual magnitude pruning (Zhu & Gupta 2017, arXiv:1710.01878) as an optax transformation."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from vaejax.errors import UserError
from vaejax.lookup import nearest
from vaejax.types import Constraint, Player

BY = 'global', 'layer'


class Pruning(NamedTuple):
  """The state of gradual_magnitude.

  Attributes:
    count: the number of updates so far.
    pruned: a tree of masks, True where a weight is pruned; None for a leaf that is no kernel.
    number: the number of pruned weights.
  """

  count: jax.Array
  pruned: Any
  number: jax.Array


def constraint(optimizer, player: Player, steps: int) -> Constraint | None:
  """The pruning of a player in a run of `steps`, from the config's `optimizer` section; None if its
  sparsity is 0. Raises UserError."""
  if optimizer.prune_by not in BY:
    close = nearest(optimizer.prune_by, BY)
    raise UserError(
      f'optimizer.prune_by={optimizer.prune_by!r} is unknown{close}. Use {" or ".join(BY)}'
    )
  proportion = target(optimizer, player.name)
  if not proportion:
    return None
  start, end = (step_at(optimizer[name], steps) for name in ('prune_start', 'prune_end'))
  # A step has `turns` updates of this player.
  updates = (n * player.turns for n in (start, end, optimizer.prune_every))
  tx = gradual_magnitude(proportion, *updates, by=optimizer.prune_by)
  return Constraint(tx, project, metrics)


def target(optimizer, player: str) -> float:
  """The proportion of a player's weights that are pruned in the end."""
  own = (optimizer.get(player) or {}).get('prune')
  return optimizer.prune if own is None else own


def check_owners(players: Sequence[Player]) -> None:
  """Raises UserError if another player trains a net that is pruned: it would move the zeros."""
  for player in players:
    for other in players:
      shared = set(player.owns) & set(other.owns) if player.constraint else ()
      if shared and other is not player:
        raise UserError(
          f'{min(shared)} cannot be pruned: {player.name} and {other.name} both train it. Set '
          'optimizer.prune=0'
        )


def step_at(fraction: float, steps: int) -> int:
  """The step after a fraction of a run, counted from 0; at most the last one."""
  return min(round(fraction * steps), steps - 1)


def gradual_magnitude(
  target: float, start: int, end: int, every: int = 1, by: str = 'global'
) -> optax.GradientTransformation:
  """Sets the smallest weights to 0, more and more of them, and keeps them there.

  It comes last: updates are what is added to the parameters, and that of a pruned weight is minus
  the weight, so that their sum is exactly 0. Only kernels of layers are pruned, see `kernels`.
  A weight that is pruned stays pruned.

  Args:
    target: the proportion of weights that are pruned in the end, to one weight.
    start, end: updates, counted from 0, between which it rises from 0, see `sparsity`.
    every: the number of updates after which more weights are pruned.
    by: 'global' compares the magnitudes of all kernels, 'layer' prunes the same proportion of each.
  """

  def init(params) -> Pruning:
    masks = jax.tree.map(lambda kernel: jnp.zeros(kernel.shape, bool), kernels(params))
    if not jax.tree.leaves(masks):
      raise UserError(f'{", ".join(params)} has no kernels to prune. Set optimizer.prune=0')
    return Pruning(jnp.zeros((), jnp.int32), masks, jnp.zeros((), jnp.int32))

  def prune(state: Pruning, params) -> Pruning:
    weights = jax.tree.leaves(kernels(params))
    masks, structure = jax.tree.flatten(state.pruned)
    parts = [slice(None)] if by == 'global' else [slice(i, i + 1) for i in range(len(masks))]
    new = []
    for part in parts:
      count = wanted(state.count, masks[part], target, start, end)
      new += smallest(weights[part], masks[part], count)
    return state._replace(pruned=jax.tree.unflatten(structure, new), number=total(new))

  def update(updates, state: Pruning, params=None):
    if params is None:
      raise ValueError('gradual_magnitude needs the params')
    since = state.count - start
    is_due = (since >= 0) & (state.count <= end) & ((since % every == 0) | (state.count == end))
    # Under vmap a cond computes both sides in each step. A loop of one turn or none runs only where
    # it is due.
    loop = lambda carry: (jnp.zeros((), bool), prune(carry[1], params))
    _, state = jax.lax.while_loop(lambda carry: carry[0], loop, (is_due, state))
    updates = on_kernels(lambda mask, u, p: jnp.where(mask, -p, u), state.pruned, updates, params)
    return updates, state._replace(count=state.count + 1)

  return optax.GradientTransformation(init, update)


def kernels(params):
  """Params, {net: tree}, with None for all that is not a kernel: the weights with which a dense,
  convolutional or recurrent layer multiplies its input."""

  def of_leaf(path, leaf):
    name = jax.tree_util.keystr(path, simple=True, separator='/')
    return leaf if name.endswith('/kernel') else None

  return jax.tree_util.tree_map_with_path(of_leaf, params)


def on_kernels(function, pruned, *trees):
  """function(mask, *leaves) of each leaf with a mask; the other leaves of the first tree."""
  return jax.tree.map(
    lambda mask, x, *more: x if mask is None else function(mask, x, *more),
    pruned,
    *trees,
    is_leaf=lambda x: x is None,
  )


def project(state: Pruning, params):
  """Parameters with 0 for every pruned weight."""
  return on_kernels(lambda mask, p: jnp.where(mask, 0, p), state.pruned, params)


def metrics(state: Pruning) -> dict[str, jax.Array]:
  """`sparsity`: the proportion of weights that are pruned, of those that can be."""
  size = sum(mask.size for mask in jax.tree.leaves(state.pruned))
  return {'sparsity': state.number / size}


def sparsity(count, target: float, start: int, end: int) -> jax.Array:
  """The proportion to be pruned at an update: target * (1 - (1 - progress)^3), where progress rises
  from 0 at `start` to 1 at `end`."""
  progress = jnp.clip((count - start) / max(end - start, 1), 0, 1)
  return jnp.where(count >= end, target, target * (1 - (1 - progress) ** 3))


def wanted(count, masks: list[jax.Array], target: float, start: int, end: int) -> jax.Array:
  """How many of the weights of these masks are to be pruned at an update. One at least is left."""
  size = sum(mask.size for mask in masks)
  most = min(round(target * size), size - 1)
  rising = jnp.round(sparsity(count, target, start, end) * size).astype(jnp.int32)
  return jnp.where(count >= end, most, jnp.minimum(rising, most))


def smallest(
  weights: list[jax.Array], pruned: list[jax.Array], count: jax.Array
) -> list[jax.Array]:
  """Masks of the `count` weights of the smallest magnitude, those already pruned first. Of equal
  ones, the first in order.

  The threshold is found by bisection of the bits of the magnitudes, which as whole numbers are in
  the same order. Sorting a million weights takes a CPU ten times as long.
  """
  as_bits = lambda w: jax.lax.bitcast_convert_type(jnp.abs(w.astype(jnp.float32)), jnp.uint32)
  ranks = [jnp.where(mask, 0, as_bits(w) + 1) for w, mask in zip(weights, pruned, strict=True)]

  def halve(_, bounds):
    low, high = bounds
    middle = low + (high - low) // 2
    enough = total([rank <= middle for rank in ranks]) >= count
    return jnp.where(enough, low, middle + 1), jnp.where(enough, middle, high)

  bounds = jnp.uint32(0), jnp.uint32(2**31)
  threshold, _ = jax.lax.fori_loop(0, 32, halve, bounds)
  left = count - total([rank < threshold for rank in ranks])
  masks = []
  for rank in ranks:
    ties = rank == threshold
    number = jnp.cumsum(ties.ravel(), dtype=jnp.int32).reshape(ties.shape)
    masks.append((rank < threshold) | (ties & (number <= left)))
    left = left - total([ties])
  return masks


def total(masks: list[jax.Array]) -> jax.Array:
  """The number of True in all masks."""
  return sum((jnp.sum(mask, dtype=jnp.int32) for mask in masks), jnp.int32(0))
