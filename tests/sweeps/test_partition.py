"""How a group is divided into stacks that fit into memory."""

import pytest

from vaejax.core.devices import ANY_LAYOUT, Layout, make_mesh
from vaejax.errors import UserError
from vaejax.sweeps import axes, partition
from vaejax.training.setup import set_up

CONFIG = 'configs/vae.py:digits,smoke'


@pytest.fixture
def group(project):
  """group(n) -> n members that differ in the seed."""
  return lambda n: axes.make_sweep(CONFIG, [], [('grid', f'seed=0:{n}')]).groups[0]


def sizes(group, memory, layout=ANY_LAYOUT, max_members=0, setup=None):
  setup = setup or set_up(group.config, None, group.members, layout)
  stacks = partition.divide(group, setup, None, layout, max_members, memory)
  assert [number for stack in stacks for number in stack] == [m.number for m in group.members]
  return [len(stack) for stack in stacks]


def per_device(size):
  """How many members a device has, if `size` train on eight devices with batches of 16."""
  return size // make_mesh(16, members=size).shape['sweep']


@pytest.mark.parametrize('bounded', [False, True])
@pytest.mark.parametrize('total', [1, 7, 8, 11, 18, 21, 64])
def test_there_are_as_few_stacks_as_fit(group, monkeypatch, total, bounded):
  """By the upper bound of a member, or by the compiler, which counts 300 bytes besides."""
  needed = lambda size: 300 + 100 * per_device(size)
  monkeypatch.setattr(partition, 'max_member_bytes', lambda *args: 100 if bounded else 1e9)
  monkeypatch.setattr(partition, 'program_bytes', lambda group, size, *args: needed(size))
  for memory in (100, 399, 400, 500, 1000, 10_000):
    fits = lambda n, memory=memory: (100 * per_device(n) if bounded else needed(n)) <= memory
    enough = [c for c in range(1, total + 1) if all(map(fits, {total // c, -(-total // c)}))]
    counts = sizes(group(total), memory, setup='not used')
    assert len(counts) == min(enough, default=total) and max(counts) - min(counts) <= 1


def test_the_request_is_respected(group):
  enough = 2**40
  assert sizes(group(6), enough) == [6]
  assert sizes(group(6), enough, max_members=4) == [3, 3]
  # Each stack divides over the mesh.
  assert sizes(group(6), enough, Layout(sweep=2), max_members=3) == [2, 2, 2]
  with pytest.raises(UserError, match='does not divide the 3 members'):
    sizes(group(6), enough, Layout(sweep=6), max_members=3)


@pytest.mark.slow
def test_the_compiler_decides_if_the_bound_is_too_large(group):
  six, layout = group(6), Layout(sweep=1, data=1)
  needed = [partition.program_bytes(six, size, None, layout) for size in (6, 3)]
  assert needed[0] > 1.5 * needed[1]
  assert sizes(six, needed[0], layout) == [6]
  assert sizes(six, needed[1], layout) == [3, 3]
  assert sizes(six, 1, layout) == [1] * 6
