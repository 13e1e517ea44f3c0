"""Devices as a mesh of two axes: 'sweep' for runs, 'data' for the examples of a batch.

`jit` over a mesh with NamedSharding replaces pmap: one program for any number of devices, the batch
is global inside it, and sharded arrays are ordinary ones.
"""

import functools
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from vaejax.errors import UserError
from vaejax.types import Batch


def mesh(batch_size: int = 0, devices=None) -> jax.sharding.Mesh:
  """The largest number of devices that divides the batch (0: all), all along 'data'; as many of
  each process. Raises UserError where a process would have none."""
  each = {}
  for device in devices or jax.devices():
    each.setdefault(device.process_index, []).append(device)
  most = min(map(len, each.values()))
  fitting = [n for n in range(1, most + 1) if batch_size % (n * len(each)) == 0]
  if not fitting:
    raise UserError(
      f'batches of {batch_size} do not split over {len(each)} processes: take a batch_size that is '
      f'a multiple of {len(each)}, per microbatch, or fewer processes'
    )
  devices = [device for own in each.values() for device in own[: fitting[-1]]]
  count = len(devices)
  auto = (AxisType.Auto, AxisType.Auto)
  return jax.make_mesh((1, count), ('sweep', 'data'), auto, devices=devices)


def replicated(mesh: jax.sharding.Mesh) -> NamedSharding:
  """Whole on every device."""
  return NamedSharding(mesh, PartitionSpec())


class Put(NamedTuple):
  """Places trees of host arrays on a mesh: called, whole on every device.

  Of rows that are split over 'data' each process has, and gives, those of its own devices alone.
  """

  mesh: jax.sharding.Mesh

  def __call__(self, tree):
    if jax.process_count() == 1:
      return jax.device_put(tree, replicated(self.mesh))
    return jax.tree.map(lambda x: spread(x, np.shape(x), replicated(self.mesh)), tree)

  def even(self, n: int) -> int:
    """The least number from n on that splits."""
    return -(-n // self.mesh.shape['data']) * self.mesh.shape['data']

  def own(self, n: int) -> tuple[int, int]:
    """Of n rows that split, the first and the end of those that this process has."""
    rows = NamedSharding(self.mesh, PartitionSpec('data'))
    parts = [part for (part,) in rows.addressable_devices_indices_map((n,)).values()]
    return min(p.start or 0 for p in parts), max(n if p.stop is None else p.stop for p in parts)

  def rows(self, tree, n: int, axis: int = 0):
    """A tree of this process's own rows along an axis, of n in all."""
    sharding = NamedSharding(self.mesh, PartitionSpec(*[None] * axis, 'data'))
    if jax.process_count() == 1:
      return jax.device_put(tree, sharding)
    first = self.own(n)[0]

    def place(x):
      return spread(x, (*x.shape[:axis], n, *x.shape[axis + 1 :]), sharding, axis, first)

    return jax.tree.map(place, tree)


put = Put


def spread(x, shape, sharding, axis: int = 0, first: int = 0) -> jax.Array:
  """An array of a shape of which this process has the part from `first` on along an axis."""
  x = np.asarray(x)

  def part(index):
    index = list(index)
    if first:
      index[axis] = slice(index[axis].start - first, index[axis].stop - first)
    return x[tuple(index)]

  return jax.make_array_from_callback(tuple(shape), sharding, part)


def whole(tree):
  """The same tree with every array whole on every process, so that each can read it. Not waited
  for; all processes call it at the same place. With one process nothing happens."""
  if jax.process_count() == 1:
    return tree
  whole = lambda x: x.is_fully_addressable or x.is_fully_replicated
  return jax.tree.map(lambda x: x if whole(x) else gathered(x.sharding.mesh)(x), tree)


@functools.cache
def gathered(mesh: jax.sharding.Mesh):
  """Jitted: an array as it is, but whole on every device."""
  return jax.jit(lambda x: x, out_shardings=replicated(mesh))


def split(mesh: jax.sharding.Mesh, draw):
  """`draw`, with every batch split over 'data': each device then gathers only its own rows."""
  if mesh.size == 1:
    return draw
  rows = NamedSharding(mesh, PartitionSpec('data'))

  def split_draw(*args) -> Batch:
    return jax.lax.with_sharding_constraint(draw(*args), rows)

  return split_draw
