"""How a sweep is divided into what trains at once."""

import pytest

from vaejax.core import sharding
from vaejax.errors import UserError
from vaejax.sweeps import axes, partition
from vaejax.training.setup import set_up

CONFIG = 'configs/vae.py:digits,smoke'


@pytest.fixture
def group(project):
  """group(n) -> n members that differ in the seed."""
  return lambda n: axes.make_sweep(CONFIG, [], [('grid', f'seed=0:{n}')]).groups[0]


def sizes(group, limit, layout=sharding.ANY_LAYOUT, at_once=0, setup=None):
  setup = setup or set_up(group.config, None, group.members, layout)
  parts = partition.divide(group, setup, None, layout, at_once, limit)
  assert [member for part in parts for member in part] == list(group.members)
  return [len(part) for part in parts]


def on_one(size):
  """How many of so many members a device has, of eight with batches of 16."""
  return size // sharding.make_mesh(16, members=size).shape['sweep']


@pytest.mark.parametrize('known', [False, True])
@pytest.mark.parametrize('total', [1, 7, 8, 11, 18, 21, 64])
def test_there_are_as_few_parts_as_fit(group, monkeypatch, total, known):
  """By a bound on what a member takes, or as the program says, which holds a buffer besides."""
  whole = group(total)
  needs = lambda size: 300 + 100 * on_one(size)
  monkeypatch.setattr(partition, 'most_bytes', lambda *about: 100 if known else 1e9)
  monkeypatch.setattr(partition, 'program_bytes', lambda group, size, *about: needs(size))
  for room in (100, 399, 400, 500, 1000, 10_000):
    fits = lambda n, room=room: (100 * on_one(n) if known else needs(n)) <= room
    enough = [c for c in range(1, total + 1) if all(map(fits, {total // c, -(-total // c)}))]
    found = sizes(whole, room, setup='whole')
    assert len(found) == min(enough, default=total) and max(found) - min(found) <= 1


def test_what_was_asked_for_is_heeded(group):
  roomy = 2**40
  assert sizes(group(6), roomy) == [6]
  assert sizes(group(6), roomy, at_once=4) == [3, 3]
  # Each part divides over the mesh.
  assert sizes(group(6), roomy, sharding.Layout(sweep=2), at_once=3) == [2, 2, 2]
  with pytest.raises(UserError, match='does not divide the 3 members'):
    sizes(group(6), roomy, sharding.Layout(sweep=6), at_once=3)


@pytest.mark.slow
def test_the_compiled_program_is_asked_where_the_bound_is_too_much(group):
  whole, layout = group(6), sharding.Layout(sweep=1, data=1)
  needed = [partition.program_bytes(whole, size, None, layout) for size in (6, 3)]
  assert needed[0] > 1.5 * needed[1]
  assert sizes(whole, needed[0], layout) == [6]
  assert sizes(whole, needed[1], layout) == [3, 3]
  assert sizes(whole, 1, layout) == [1] * 6
