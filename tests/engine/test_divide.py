"""How a sweep is divided into what trains at once."""

from types import SimpleNamespace

import pytest

from vaejax import axes
from vaejax.engine import divide, shard
from vaejax.engine.setup import set_up
from vaejax.errors import UserError

CONFIG = 'configs/vae.py:digits,smoke'


@pytest.fixture
def group(project):
  """group(n) -> n members that differ in the seed."""
  return lambda n: axes.make(CONFIG, [], [('grid', f'seed=0:{n}')]).groups[0]


def sizes(group, limit, layout=shard.ANY, at_once=0, setup=None):
  setup = setup or set_up(group.config, None, group.members, layout)
  parts = divide.divide(group, setup, layout, at_once, limit)
  assert [member for part in parts for member in part] == list(group.members)
  return [len(part) for part in parts]


@pytest.mark.parametrize('total', [1, 7, 8, 11, 18, 21, 64])
def test_on_each_device_there_are_as_many_as_fit(group, monkeypatch, total):
  """Eight devices, over which members spread as far as their number divides."""
  whole, each = group(total), 1000
  setup = SimpleNamespace(mesh=shard.mesh(16, members=total))
  monkeypatch.setattr(divide, 'member_bytes', lambda *about: each)
  for room in (1, 2, 3, 5, 64):
    found = sizes(whole, room * each, setup=setup)
    assert max(found) - min(found) <= 1
    for size in found:
      on_one = size // shard.mesh(16, members=size).shape['sweep']
      assert on_one <= room


def test_what_was_asked_for_is_heeded(group):
  roomy = 2**40
  assert sizes(group(6), roomy) == [6]
  assert sizes(group(6), roomy, at_once=4) == [3, 3]
  # Each part divides over the mesh.
  assert sizes(group(6), roomy, shard.Layout(sweep=2), at_once=3) == [2, 2, 2]
  with pytest.raises(UserError, match='does not divide the 3 member'):
    sizes(group(6), roomy, shard.Layout(sweep=6), at_once=3)


@pytest.mark.slow
def test_the_compiled_program_is_asked_where_the_bound_is_too_much(group):
  whole, layout = group(6), shard.Layout(sweep=1, data=1)
  setup = set_up(whole.config, None, whole.members, layout)
  needed = divide.program_bytes(whole.config, setup)
  assert sizes(whole, needed + 6, layout) == [6]
  assert sizes(whole, needed // 2 + 6, layout) == [3, 3]
  assert sizes(whole, 1, layout) == [1] * 6
