"""A chunk as tests want it: from zero, averaged, and compiled as users compile."""

from functools import partial

import jax

from vaejax.core.step import make_chunk

# Tests compile with less optimisation (conftest.py), and other code rounds differently. What is
# compared bit by bit is compiled with XLA's defaults, whatever XLA_FLAGS are.
DEFAULTS = {
  'xla_backend_optimization_level': 3,
  'xla_llvm_disable_expensive_passes': False,
  'xla_cpu_use_fusion_emitters': True,
  'xla_cpu_parallel_codegen_split_count': 32,
}
jit_as_users = partial(jax.jit, compiler_options=DEFAULTS)


def averaged_chunk(step, draw):
  """(State, Buffer, length) -> (State, mean metrics of the steps)."""
  chunk = make_chunk(step, draw)

  def run(state, buffer, length):
    state, sums = chunk.run(state, chunk.zeros(state, buffer), buffer, length)
    return state, jax.tree.map(lambda x: x / length, sums)

  return run
