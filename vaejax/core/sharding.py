"""How arrays are placed on a mesh of devices, see core/devices.py.

`jit` over a mesh with NamedSharding replaces pmap: one program for any number of devices, the batch
is global inside it, and sharded arrays are ordinary ones.
"""

import functools
import math
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from vaejax.data.source import Source
from vaejax.types import Batch

# Smaller arrays are replicated: gathering them costs more than their memory.
MIN_SHARDED_ELEMENTS = 2**16
# Memory of each device that `replicate` may fill before it moves copies to the host.
MAX_GATHER_BYTES = 2**30


def replicated(mesh: Mesh) -> NamedSharding:
  """A full copy on every device."""
  return NamedSharding(mesh, PartitionSpec())


def state_sharding(mesh: Mesh, stacked: bool = False, fsdp: bool = False):
  """A function from a leaf of a state to its sharding.

  Members of a stack are sharded over 'sweep'. With `fsdp` large leaves are sharded over 'data' too,
  along their longest axis that it divides. Everything else is replicated.
  """

  def leaf_sharding(leaf) -> NamedSharding:
    axes = ['sweep' if stacked and i == 0 else None for i in range(leaf.ndim)]
    inner = range(int(stacked), leaf.ndim)
    fitting = [i for i in inner if leaf.shape[i] % mesh.shape['data'] == 0]
    if fsdp and fitting and math.prod(leaf.shape[i] for i in inner) >= MIN_SHARDED_ELEMENTS:
      axes[max(fitting, key=lambda i: leaf.shape[i])] = 'data'
    return NamedSharding(mesh, PartitionSpec(*axes))

  return leaf_sharding


class MeshPlacement(NamedTuple):
  """Puts trees of host arrays on a mesh; a call replicates them over all devices.

  Rows can be sharded over 'data': each process then has only the rows of its own devices.
  """

  mesh: Mesh

  def __call__(self, tree):
    return put_global(tree, replicated(self.mesh))

  def round_up(self, n: int) -> int:
    """The smallest multiple of the 'data' axis that is at least n."""
    return -(-n // self.mesh.shape['data']) * self.mesh.shape['data']

  def local_range(self, n: int) -> tuple[int, int]:
    """The range (first, end) of this process's rows among n sharded rows."""
    rows = NamedSharding(self.mesh, PartitionSpec('data'))
    parts = [part for (part,) in rows.addressable_devices_indices_map((n,)).values()]
    return min(p.start or 0 for p in parts), max(n if p.stop is None else p.stop for p in parts)

  def put_rows(self, tree, n: int, axis: int = 0):
    """A tree of arrays with n rows along an axis, of which each process passes its local_range."""
    sharding = NamedSharding(self.mesh, PartitionSpec(*[None] * axis, 'data'))
    if jax.process_count() == 1:
      return jax.device_put(tree, sharding)
    first = self.local_range(n)[0]

    def place_array(x):
      return make_global_array(x, (*x.shape[:axis], n, *x.shape[axis + 1 :]), sharding, axis, first)

    return jax.tree.map(place_array, tree)


def put_global(tree, sharding):
  """Puts a tree of host arrays, of which every process has a full copy, on the devices."""
  if jax.process_count() == 1:
    return jax.device_put(tree, sharding)
  return jax.tree.map(lambda x: make_global_array(x, np.shape(x), sharding), tree)


def make_global_array(x, shape, sharding, axis: int = 0, first: int = 0) -> jax.Array:
  """A global array of a shape; x is this process's part of it, from `first` on along an axis."""
  x = np.asarray(x)

  def part(index):
    index = list(index)
    if first:
      index[axis] = slice(index[axis].start - first, index[axis].stop - first)
    return x[tuple(index)]

  return jax.make_array_from_callback(tuple(shape), sharding, part)


def replicate(tree):
  """The tree with every array replicated over all devices, so that each process can read it.

  Every process must call it at the same point. With one process the tree is returned as it is.
  It does not wait for the device, unless the copies take more than MAX_GATHER_BYTES of one: the
  arrays beyond that move to the host one by one.
  """
  if jax.process_count() == 1:
    return tree
  filled = 0

  def replicate_array(x):
    nonlocal filled
    if isinstance(x, np.ndarray) or x.is_fully_addressable or x.is_fully_replicated:
      return x
    copy = replicating(x.sharding.mesh)(x)
    if filled + x.nbytes > MAX_GATHER_BYTES and not jax.dtypes.issubdtype(
      x.dtype, jax.dtypes.prng_key
    ):
      return np.asarray(copy)
    filled += x.nbytes
    return copy

  return jax.tree.map(replicate_array, tree)


@functools.cache
def replicating(mesh: Mesh):
  """A jitted identity that replicates its argument over a mesh."""
  return jax.jit(lambda x: x, out_shardings=replicated(mesh))


def member_sharding(mesh: Mesh, stacked: bool) -> NamedSharding:
  """Sharded over 'sweep' for values with an axis of members, else replicated."""
  return NamedSharding(mesh, PartitionSpec('sweep') if stacked else PartitionSpec())


def shard_rows(mesh: Mesh, rows):
  """`rows` with its batches sharded over 'data', so that each device gathers only its own rows."""
  if mesh.size == 1:
    return rows
  sharding = NamedSharding(mesh, PartitionSpec('data'))

  def split_rows(*args) -> Batch:
    return jax.lax.with_sharding_constraint(rows(*args), sharding)

  return split_rows


def shard_draw(mesh: Mesh, source: Source, draw=None):
  """`source.draw`, or a stack's `draw`, such that each device draws only its own rows and members.

  This is a shard_map rather than a sharding constraint, because the order of examples is computed
  in a loop whose length depends on the rows: XLA would make all devices agree on it in every step.
  """
  if mesh.size == 1:
    return draw or source.draw
  member = PartitionSpec('sweep') if draw else PartitionSpec()
  draw = draw or source.draw
  row = PartitionSpec(*member, 'data')
  if not source.row_shardable:
    split_rows = NamedSharding(mesh, row)
    return lambda *args: jax.lax.with_sharding_constraint(draw(*args), split_rows)

  def draw_local(buffer, *of_member) -> Batch:
    return draw(buffer, *of_member, part=(jax.lax.axis_index('data'), mesh.shape['data']))

  def draw_sharded(buffer, *of_member) -> Batch:
    specs = source.buffer_spec, *[member] * len(of_member)
    program = jax.shard_map(draw_local, mesh=mesh, in_specs=specs, out_specs=row, check_vma=False)
    return program(buffer, *of_member)

  return draw_sharded


def shard_step(mesh: Mesh, step):
  """The step of a stack, in which each device computes only its own members."""
  if mesh.shape['sweep'] == 1:
    return step
  member = PartitionSpec('sweep')
  return jax.shard_map(
    step, mesh=mesh, in_specs=member, out_specs=member, axis_names={'sweep'}, check_vma=False
  )
