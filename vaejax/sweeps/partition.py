"""Which members of a group train at once: as many as fit into the memory of the devices."""

import os

import jax
import numpy as np

from vaejax.core import sharding, stack
from vaejax.errors import UserError
from vaejax.sweeps import axes
from vaejax.training.setup import Setup, compiled, microbatch, set_up


def divide(
  group: axes.CompileGroup,
  setup: Setup,
  data_dir,
  layout: sharding.Layout,
  at_once: int,
  limit: int,
) -> list[tuple[stack.Member, ...]]:
  """The members of a group in as few parts, of like size, as fit into memory.

  Args:
    setup: of the whole group as one.
    at_once: members of a part at most, 0: any.
    limit: bytes of a device that may be filled.

  Raises UserError where no parts divide over the mesh that the layout asks for.
  """
  total, bound = len(group.members), most_bytes(group, setup)
  least, parts, each = -(-total // (at_once or total)), 0, 0
  for count in range(least, total + 1):
    try:
      most, size = max((share(group, n, layout), n) for n in {total // count, -(-total // count)})
    except UserError:
      continue
    parts = count
    if most * bound <= limit:
      break
    if most * each > limit:
      continue
    # Only what is compiled is known to fit: the fewer they are, the more a member may take.
    needed = program_bytes(group, size, data_dir, layout)
    if needed <= limit:
      break
    each = needed / most
  if not parts:
    share(group, -(-total // least), layout)
  numbers = np.array_split(np.arange(total), parts)
  return [group.members[part[0] : part[-1] + 1] for part in numbers]


def share(group: axes.CompileGroup, size: int, layout: sharding.Layout) -> int:
  """How many members a device has of so many that train at once. Raises UserError as `mesh`."""
  mesh = sharding.make_mesh(microbatch(group.config), members=size, layout=layout)
  return size // mesh.shape['sweep']


def most_bytes(group: axes.CompileGroup, setup: Setup) -> float:
  """More than a member has ever been seen to take of its device."""
  size = lambda tree: sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))
  batch = group.config.batch_size * size(setup.source.example.fields)
  return 6 * size(setup.abstract_state) / len(group.members) + 1000 * batch


def program_bytes(group: axes.CompileGroup, size: int, data_dir, layout: sharding.Layout) -> int:
  """What a device needs for a chunk of steps of so many members, by the compiled program's own
  account."""
  setup = set_up(group.config, data_dir, group.members[:size], layout)
  found = compiled(setup).memory_analysis()
  # A checkpoint takes a copy of the state while the next steps run.
  return 2 * found.argument_size_in_bytes + found.temp_size_in_bytes


def memory() -> int:
  """Bytes that a device may be given to fill."""
  device = jax.local_devices()[0]
  limit = (device.memory_stats() or {}).get('bytes_limit')
  if limit:
    return int(0.9 * limit)
  return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 2 // jax.local_device_count()
