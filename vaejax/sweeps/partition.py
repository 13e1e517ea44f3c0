"""Divides a group into stacks that train together, as large as the memory of the devices allows."""

import os

import jax
import numpy as np

from vaejax.core.devices import Layout, make_mesh
from vaejax.errors import UserError
from vaejax.sweeps.axes import CompileGroup
from vaejax.training.setup import Setup, microbatch, set_up


def divide(
  group: CompileGroup,
  setup: Setup,
  data_dir,
  layout: Layout,
  max_members: int,
  memory: int,
) -> list[list[int]]:
  """Divides a group into as few stacks as fit into memory, of about the same size.

  Args:
    setup: of the group as a single stack.
    max_members: of a stack; 0: no limit.
    memory: bytes of a device that may be filled.

  Returns the numbers of the members of each stack. Raises UserError if no division fits the layout.
  """
  total, batch = len(group.members), microbatch(group.config)

  def per_device(size: int) -> int:
    mesh = make_mesh(batch, members=size, layout=layout)
    return size // mesh.shape['sweep']

  upper_bound, per_member = max_member_bytes(setup, total, group.config.batch_size), 0
  fewest, stacks, error = -(-total // (max_members or total)), 0, None
  for count in range(fewest, total + 1):
    try:
      most, size = max((per_device(n), n) for n in {total // count, -(-total // count)})
    except UserError as raised:
      error = error or raised
      continue
    stacks = count
    if most * upper_bound <= memory:
      break
    # Smaller stacks need more for each member: if this is too much already, do not compile.
    if most * per_member > memory:
      continue
    needed = program_bytes(group, size, data_dir, layout)
    if needed <= memory:
      break
    per_member = needed / most
  if not stacks:
    raise error
  numbers = [member.number for member in group.members]
  return [part.tolist() for part in np.array_split(numbers, stacks)]


def max_member_bytes(setup: Setup, members: int, batch_size: int) -> float:
  """An upper bound on the bytes that a member needs, above all measured ones."""
  size = lambda tree: sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))
  example = size(setup.source.example.fields)
  return 6 * size(setup.abstract_state) / members + 1000 * batch_size * example


def program_bytes(group: CompileGroup, size: int, data_dir, layout: Layout) -> int:
  """The memory of a device that training `size` members needs, according to the compiler."""
  setup = set_up(group.config, data_dir, group.members[:size], layout)
  memory = compiled(setup).memory_analysis()
  # Saving copies the state while the next steps run.
  return 2 * memory.argument_size_in_bytes + memory.temp_size_in_bytes


def device_memory() -> int:
  """Bytes of a device that training may fill."""
  device = jax.local_devices()[0]
  limit = (device.memory_stats() or {}).get('bytes_limit')
  if limit:
    return int(0.9 * limit)
  return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') // 2 // jax.local_device_count()


def compiled(setup: Setup):
  """The compiled program of a run, without running it, to read its memory and cost."""
  buffer, _ = next(iter(setup.source.buffers(0, 1)))
  state = jax.eval_shape(setup.create)
  zeros = setup.program.put(setup.program.chunk.zeros(state, buffer))
  place = lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
  state = jax.tree.map(place, state, setup.state_sharding)
  return setup.program.run.lower(state, zeros, buffer, np.int32(1)).compile()
