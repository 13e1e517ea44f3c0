"""Functions as StableHLO by jax.export, for CPU, CUDA and TPU, with a seed if they draw.

  from jax import export
  decode = export.deserialize(open('decode.stablehlo', 'rb').read()).call
  image, = decode(latents)

A file can be read by the same version of JAX and, as JAX promises, by those of the following month.
"""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import InconclusiveDimensionOperation

from vaejax.export.artifact import Export, File, key_of
from vaejax.export.ports import BATCH, Function, Port
from vaejax.lowering import for_export
from vaejax.runs.files import write_atomic

PLATFORMS = 'cpu', 'cuda', 'tpu'
SEED = Port('seed', (), 'of the random draws', 'uint32', 0, 2**32 - 1)


def write(export: Export, folder: Path) -> list[File]:
  """Writes every function."""
  files = []
  for name, function in export.functions.items():
    path = folder / f'{name}.stablehlo'
    seeded = draws(function)
    exported, batch = lower(function, seeded)
    if batch:
      export.log(f'{path.name} takes {batch} row at a time: its shapes depend on their number')
    write_atomic(path, bytes(exported.serialize()))
    inputs = (SEED, *function.inputs) if seeded else function.inputs
    files.append(File(path, name, inputs, function.outputs, seeded=seeded, batch=batch))
  return files


def draws(function: Function) -> bool:
  """Whether a function uses its key."""
  forms = [port.form(2) for port in function.inputs]
  closed = jax.make_jaxpr(function.call)(jax.random.key(0), *forms)
  key = closed.jaxpr.invars[0]
  used, _ = jax.interpreters.partial_eval.dce_jaxpr(closed.jaxpr, [True] * len(closed.out_avals))
  return key in {x for equation in used.eqns for x in equation.invars if not hasattr(x, 'val')}


def lower(function: Function, seeded: bool):
  """The exported function, and the number of rows that it takes (None: any)."""

  def seeded_call(seed, *arrays):
    return function.call(key_of(seed), *arrays)

  def plain_call(*arrays):
    return function.call(jax.random.key(0), *arrays)

  def trace(batch):
    forms = [port.form(batch) for port in function.inputs]
    forms = [jax.ShapeDtypeStruct((), jnp.uint32), *forms] if seeded else forms
    with for_export(), jax.default_matmul_precision('highest'):
      jitted = jax.jit(seeded_call if seeded else plain_call)
      return jax.export.export(jitted, platforms=PLATFORMS)(*forms)

  try:
    return trace(*jax.export.symbolic_shape(BATCH)), None
  except (InconclusiveDimensionOperation, TypeError, ValueError):  # a mistake is raised once more
    return trace(1), 1


def load(path: Path) -> Callable[[list], list]:
  """The function in a file, inputs -> outputs."""
  call = jax.export.deserialize(bytearray(path.read_bytes())).call
  return lambda arrays: [np.asarray(x) for x in jax.tree.leaves(call(*arrays))]
