"""A stack of runs that train as one: a State with a leading axis of members."""

from collections.abc import Sequence
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
  """The places of frozen members in a stack, see step.make_sweep; empty for a run."""
  return set(np.flatnonzero(np.asarray(replicate(state.step)) < 0).tolist())
