"""A chunk as tests want it: from zero, and averaged."""

import jax

from vaejax.core.step import make_chunk


def averaged_chunk(step, draw):
  """(State, Buffer, length) -> (State, mean metrics of the steps)."""
  chunk = make_chunk(step, draw)

  def run(state, buffer, length):
    state, sums = chunk.run(state, chunk.zeros(state, buffer), buffer, length)
    return state, jax.tree.map(lambda x: x / length, sums)

  return run
