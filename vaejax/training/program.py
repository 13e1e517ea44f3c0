"""The compiled steps of a run, or of a stack of runs."""

from collections.abc import Callable
from typing import NamedTuple

import jax

from vaejax.core import sharding
from vaejax.core.stack import make_sweep
from vaejax.core.step import Chunk, make_chunk, make_step
from vaejax.data.labels import weighted
from vaejax.data.source import Source
from vaejax.types import Method, State


class Program(NamedTuple):
  """A chunk of steps over the mesh: `run` donates its state, and `put` places sums of metrics where
  `run` returns them."""

  chunk: Chunk
  run: Callable
  put: Callable


def make_program(
  optimizer,
  method: Method,
  source: Source,
  schedules,
  mesh,
  state_sharding: State,
  members=(),
  weigh_labels: bool = False,
) -> Program:
  """The program of a run, or of a stack; `optimizer` is that section of the config. With
  `weigh_labels`, rows may have no label, and batches have weights for it (see data.labels)."""
  step = make_step(method, schedules, optimizer.ema, optimizer.accumulate)
  draw = None
  if members:
    step, draw = make_sweep(step, source.draw)
  draw = sharding.shard_draw(mesh, source, draw)
  if weigh_labels:
    draw = weighted(draw)
  chunk = make_chunk(sharding.shard_step(mesh, step), draw)
  sums = sharding.member_sharding(mesh, bool(members))
  run = jax.jit(chunk.run, donate_argnums=0, out_shardings=(state_sharding, sums))
  return Program(chunk, run, lambda tree: sharding.put_global(tree, sums))
