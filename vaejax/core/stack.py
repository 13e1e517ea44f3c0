"""A stack of runs that train as one: a State with a leading axis of members."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.core.sharding import replicate
from vaejax.types import State


class Member(NamedTuple):
  """One run of a sweep: its number, its seed, and all of its hyper-parameters."""

  number: int
  seed: int
  hyper: dict[str, float]


def initial_state(create, members: Sequence[Member]) -> State:
  """The stack of the members' first states, each `create(key, hyper)`; pure."""
  keys = jax.vmap(jax.random.key)(np.asarray([member.seed for member in members], np.uint32))
  names = members[0].hyper
  hyper = {name: jnp.asarray([m.hyper[name] for m in members], jnp.float32) for name in names}
  return jax.vmap(create)(keys, hyper)


def member_state(state: State, number: int) -> State:
  """The state of one member, as a single run has it."""
  single = jax.tree.map(lambda x: x[number], state)
  return single.replace(step=jnp.maximum(single.step, ~single.step))


def unstack(tree, count: int) -> list:
  """A tree of host arrays [count, ...] as a list of `count` trees."""
  return [jax.tree.map(lambda x, n=n: x[n], tree) for n in range(count)]


def current_step(state: State) -> int:
  """The step of a run, or of the members that are not frozen; if all are, the latest one."""
  steps = np.asarray(replicate(state.step))
  return int(np.max(steps if np.any(steps >= 0) else ~steps))


def frozen_members(state: State) -> set[int]:
  """The places of frozen members in a stack, see make_sweep; empty for a run."""
  return set(np.flatnonzero(np.asarray(replicate(state.step)) < 0).tolist())


def make_sweep(step, draw):
  """A step and a draw for a stack of runs, its members: State gets a leading axis.

  A member whose step gives a non-finite value keeps the state before that step from then on: it is
  frozen, and its `step` s becomes ~s, which is negative.
  """

  def member(state, batch):
    after, metrics = step(state, batch)
    active = state.step >= 0
    good = active & finite((after.variables, after.opt, after.ema, metrics))
    kept = jax.tree.map(partial(jnp.where, good), after, state)
    step_kept = jnp.where(active & ~good, ~state.step, kept.step)
    # Metrics show the failure even if only a parameter is not finite.
    metrics = jax.tree.map(lambda value: jnp.where(good, value, jnp.nan), metrics)
    return kept.replace(step=step_kept), metrics

  def sweep_draw(buffer, key, step, *left_out, **part):
    return jax.vmap(lambda *of_member: draw(buffer, *of_member, **part))(key, step, *left_out)

  return jax.vmap(member), sweep_draw


def finite(tree) -> jax.Array:
  """Whether all floats of a tree are finite."""
  floats = [x for x in jax.tree.leaves(tree) if jnp.issubdtype(x.dtype, jnp.floating)]
  return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in floats]))
