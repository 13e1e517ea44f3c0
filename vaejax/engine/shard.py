"""Devices as a mesh of two axes: 'sweep' for runs, 'data' for the examples of a batch.

`jit` over a mesh with NamedSharding replaces pmap: one program for any number of devices, the batch
is global inside it, and sharded arrays are ordinary ones.
"""

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from vaejax.types import Batch


def mesh(batch_size: int = 0, devices=None) -> jax.sharding.Mesh:
  """The largest number of devices that divides the batch (0: all), all along 'data'."""
  devices = devices or jax.devices()
  count = max(n for n in range(1, len(devices) + 1) if batch_size % n == 0)
  auto = (AxisType.Auto, AxisType.Auto)
  return jax.make_mesh((1, count), ('sweep', 'data'), auto, devices=devices[:count])


def replicated(mesh: jax.sharding.Mesh) -> NamedSharding:
  """Whole on every device."""
  return NamedSharding(mesh, PartitionSpec())


def put(mesh: jax.sharding.Mesh):
  """Places a tree of host arrays whole on every device."""
  return lambda tree: jax.device_put(tree, replicated(mesh))


def split(mesh: jax.sharding.Mesh, draw):
  """`draw`, with every batch split over 'data': each device then gathers only its own rows."""
  if mesh.size == 1:
    return draw
  rows = NamedSharding(mesh, PartitionSpec('data'))

  def split_draw(*args) -> Batch:
    return jax.lax.with_sharding_constraint(draw(*args), rows)

  return split_draw
