"""Devices as a mesh of two axes: 'sweep' for runs, 'data' for the examples of a batch.

`jit` over a mesh with NamedSharding replaces pmap: one program for any number of devices, the batch
is global inside it, and sharded arrays are ordinary ones.
"""

import math
import re
from typing import NamedTuple

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from vaejax.errors import UserError
from vaejax.types import Batch

# Arrays of fewer elements stay whole on every device: to gather them costs more than they take.
SMALL = 2**16


class Layout(NamedTuple):
  """How the devices are to be used: sizes of the mesh's axes, 0: as fits; and whether large
  parameters are divided over 'data' (FSDP) rather than kept whole on every device."""

  sweep: int = 0
  data: int = 0
  fsdp: bool = False


ANY = Layout()


def layout(text: str | None, fsdp: bool = False) -> Layout:
  """The layout of --mesh=sweep:4,data:2. Raises UserError."""
  found = {}
  for part in (text or '').split(',') if text else []:
    match = re.fullmatch(r'(sweep|data):(\d{1,6})', part)
    if not match or not int(match[2]) or match[1] in found:
      raise UserError(f'--mesh={text}: it takes sweep:N, data:N or both, as in sweep:4,data:2')
    found[match[1]] = int(match[2])
  return Layout(**found, fsdp=fsdp)


def mesh(batch_size: int = 0, devices=None, members: int = 1, layout: Layout = ANY) -> Mesh:
  """A mesh whose axes divide the members of a sweep and the batch (0: any). What the layout leaves
  open is the most devices that do, first along 'sweep', along which nothing is communicated.

  Raises UserError for a layout that does not divide them, or takes more devices than there are.
  """
  devices = devices or jax.devices()
  fits = lambda total, most: max(n for n in range(1, max(most, 1) + 1) if total % n == 0)
  sweep = layout.sweep or fits(members, len(devices) // (layout.data or 1))
  data = layout.data or fits(batch_size, len(devices) // sweep)
  if sweep * data > len(devices):
    raise UserError(
      f'--mesh=sweep:{sweep},data:{data} takes {sweep * data} devices: there are {len(devices)}'
    )
  if members % sweep:
    raise UserError(
      f'--mesh=sweep:{sweep} does not divide the {members} member(s) that train at once: take one '
      'that does, or another --slice'
    )
  if batch_size % data:
    raise UserError(
      f'--mesh=data:{data} does not divide {batch_size}, the examples of a batch that are worked '
      'through at once: take one that does, or another batch_size'
    )
  auto = (AxisType.Auto, AxisType.Auto)
  return jax.make_mesh((sweep, data), ('sweep', 'data'), auto, devices=devices[: sweep * data])


def replicated(mesh: Mesh) -> NamedSharding:
  """Whole on every device."""
  return NamedSharding(mesh, PartitionSpec())


def place(mesh: Mesh, stacked: bool = False, fsdp: bool = False):
  """leaf of a state -> its sharding: the members of a stack over 'sweep'; with `fsdp` large leaves
  over 'data' too, along the longest of their axes that it divides; else whole everywhere."""

  def place_leaf(leaf) -> NamedSharding:
    axes = ['sweep' if stacked and i == 0 else None for i in range(leaf.ndim)]
    own = range(int(stacked), leaf.ndim)
    fitting = [i for i in own if leaf.shape[i] % mesh.shape['data'] == 0]
    if fsdp and fitting and math.prod(leaf.shape[i] for i in own) >= SMALL:
      axes[max(fitting, key=lambda i: leaf.shape[i])] = 'data'
    return NamedSharding(mesh, PartitionSpec(*axes))

  return place_leaf


def put(mesh: Mesh):
  """Places a tree of host arrays whole on every device."""
  return lambda tree: jax.device_put(tree, replicated(mesh))


def of_members(mesh: Mesh, stacked: bool) -> NamedSharding:
  """Of a stack each member's part where the member is; of a run the whole on every device."""
  return NamedSharding(mesh, PartitionSpec('sweep') if stacked else PartitionSpec())


def split(mesh: Mesh, rows):
  """`rows`, with every batch split over 'data': each device then gathers only its own."""
  if mesh.size == 1:
    return rows
  sharding = NamedSharding(mesh, PartitionSpec('data'))

  def split_rows(*args) -> Batch:
    return jax.lax.with_sharding_constraint(rows(*args), sharding)

  return split_rows


def split_draw(mesh: Mesh, draw, stacked: bool = False):
  """`draw`, each device drawing only its own rows, and of a stack its own members'.

  It tells each its part, instead of a split of the whole: how often the order of examples is
  evaluated depends on the rows, which XLA would ask all devices about, in every step.
  """
  if mesh.size == 1:
    return draw
  member = PartitionSpec('sweep') if stacked else PartitionSpec()
  row = PartitionSpec(*member, 'data')

  def own(buffer, key, step) -> Batch:
    return draw(buffer, key, step, (jax.lax.axis_index('data'), mesh.shape['data']))

  specs = PartitionSpec(), member, member
  return jax.shard_map(own, mesh=mesh, in_specs=specs, out_specs=row, check_vma=False)


def split_step(mesh: Mesh, step):
  """The step of a stack, each device taking that of its own members: nothing is asked of others."""
  if mesh.shape['sweep'] == 1:
    return step
  member = PartitionSpec('sweep')
  return jax.shard_map(
    step, mesh=mesh, in_specs=member, out_specs=member, axis_names={'sweep'}, check_vma=False
  )
