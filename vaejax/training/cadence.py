"""Boundaries between steps, at which a row ends, or a test or a checkpoint is due."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vaejax.core.step import finite
from vaejax.types import Metrics, State


def due(step: int, every: int, steps: int) -> bool:
  """Whether something that happens every so many steps, and at the end, happens now."""
  return step == steps or (every > 0 and step % every == 0)


def next_stop(config, step: int) -> int:
  """The next boundary after `step`: where a row ends, a checkpoint or a test is due."""
  marks = [config.eval.log_every, config.checkpoint.every, config.eval.every or config.steps]
  return min(config.steps, *(step + every - step % every for every in marks))


class Left(NamedTuple):
  """What there is on the device at a boundary; nothing of it was waited for."""

  step: int
  sums: Metrics  # of every step since the last row
  saved: tuple[State, jax.Array] | None = None  # a `snapshot`, where the state is to be saved
  test: Any = None  # sums of a test pass
  pictures: Any = None


@jax.jit
def snapshot(state: State) -> tuple[State, jax.Array]:
  """A copy that the next chunk does not overwrite, and whether all of it is finite: the last
  update of a chunk is not seen in the chunk's own metrics."""
  return jax.tree.map(jnp.copy, state), finite(state)
