"""Which members of a group train at once: as many as fit into the memory of the devices."""

import os

import jax
import numpy as np

from vaejax import axes
from vaejax.engine import shard
from vaejax.engine.setup import Setup, compiled, microbatch
from vaejax.errors import UserError


def divide(
  group: axes.Group, setup: Setup, layout: shard.Layout, at_once: int, limit: int
) -> list[tuple[axes.Member, ...]]:
  """The members of a group in as few parts, of like size, as fit into memory.

  Args:
    setup: of the whole group as one.
    at_once: members of a part at most, 0: any.
    limit: bytes of a device that may be filled.

  Raises UserError where no parts divide over the mesh that the layout asks for.
  """
  total, each = len(group.members), member_bytes(group, setup, limit)
  least, parts = -(-total // (at_once or total)), 0
  for count in range(least, total + 1):
    try:
      most = max(share(group, size, layout) for size in {total // count, -(-total // count)})
    except UserError:
      continue
    parts = count
    if most * each <= limit:
      break
  if not parts:
    share(group, -(-total // least), layout)
  numbers = np.array_split(np.arange(total), parts)
  return [group.members[part[0] : part[-1] + 1] for part in numbers]


def share(group: axes.Group, size: int, layout: shard.Layout) -> int:
  """How many members a device has of so many that train at once. Raises UserError as `mesh`."""
  mesh = shard.mesh(microbatch(group.config), members=size, layout=layout)
  return size // mesh.shape['sweep']


def member_bytes(group: axes.Group, setup: Setup, limit: int) -> float:
  """What a member takes of its device. Where a bound shows that all fit, the bound."""
  size = lambda tree: sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))
  batch = group.config.batch_size * size(setup.source.example.fields)
  total, devices = len(group.members), setup.mesh.shape['sweep']
  # More than activations have ever been seen to take; else the compiled program is asked.
  bound = 6 * size(setup.like) / total + 1000 * batch
  if bound * total / devices <= limit:
    return bound
  return program_bytes(group.config, setup) * devices / total


def program_bytes(config, setup: Setup) -> int:
  """What a device needs for a chunk of a stack's steps, by the compiled program's own account."""
  found = compiled(config, setup).memory_analysis()
  # A checkpoint takes a copy of the state while the next steps run.
  return 2 * found.argument_size_in_bytes + found.temp_size_in_bytes


def memory() -> int:
  """Bytes that a device may be given to fill."""
  device = jax.local_devices()[0]
  limit = (device.memory_stats() or {}).get('bytes_limit')
  if limit:
    return int(0.9 * limit)
  return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 2 // jax.local_device_count()
