"""The mesh takes what divides the batch, and a batch's rows lie on their devices."""

import re
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from vaejax.core import sharding
from vaejax.core.devices import Layout, make_mesh, parse_layout
from vaejax.errors import UserError

pytestmark = pytest.mark.skipif(jax.device_count() < 8, reason='it takes 8 devices')


@pytest.mark.parametrize(
  'batch, devices', [(128, 8), (16, 8), (20, 5), (12, 6), (7, 7), (11, 1), (1, 1), (4, 4)]
)
def test_the_mesh_is_the_most_devices_that_divide_the_batch(batch, devices):
  mesh = make_mesh(batch)
  assert mesh.axis_names == ('sweep', 'data')
  assert dict(mesh.shape) == {'sweep': 1, 'data': devices}


def test_the_mesh_takes_the_devices_that_it_is_given():
  given = jax.devices()[2:5]
  assert list(make_mesh(6, given).devices.ravel()) == given


def test_each_process_gives_as_many_devices():
  process = lambda index, count: [SimpleNamespace(process_index=index)] * count
  with pytest.raises(UserError, match='batches of 9 do not split over 2 processes'):
    make_mesh(9, process(0, 4) + process(1, 4))


def test_rows_lie_on_their_devices():
  put, rows = sharding.MeshPlacement(make_mesh(12)), np.arange(3 * 12).reshape(3, 12)
  assert put.local_range(12) == (0, 12) and [put.round_up(n) for n in (1, 6, 7)] == [6, 6, 12]
  found = put.put_rows({'a': rows}, 12, axis=1)['a']
  assert np.array_equal(found, rows)
  assert {part.data.shape for part in found.addressable_shards} == {(3, 2)}


def test_put_gives_every_device_the_whole():
  found = sharding.MeshPlacement(make_mesh(16))({'a': np.arange(3), 'b': np.int32(1)})
  for leaf in jax.tree.leaves(found):
    assert len(leaf.addressable_shards) == 8
    assert all(part.data.shape == leaf.shape for part in leaf.addressable_shards)


def test_a_split_draw_has_the_same_rows_each_on_its_device():
  mesh = make_mesh(16)
  draw = lambda start: {'image': start + jnp.arange(48.0).reshape(16, 3), 'label': jnp.arange(16)}
  one, found = (
    draw(2.0),
    jax.jit(sharding.shard_rows(mesh, draw))(sharding.MeshPlacement(mesh)(2.0)),
  )
  for name, leaf in found.items():
    np.testing.assert_array_equal(leaf, one[name])
    assert {part.data.shape[0] for part in leaf.addressable_shards} == {2}
    assert len({part.device for part in leaf.addressable_shards}) == 8


def test_one_device_is_left_alone():
  draw = lambda: None
  one = make_mesh(11)
  assert sharding.shard_rows(one, draw) is draw
  assert sharding.shard_draw(one, SimpleNamespace(draw=draw)) is draw
  assert sharding.shard_step(one, draw) is draw


@pytest.mark.parametrize(
  'batch, members, asked, found',
  [
    (128, 4, {}, (4, 2)),
    (16, 3, {}, (3, 2)),
    (5, 16, {}, (8, 1)),
    (16, 16, {'data': 4}, (2, 4)),
    (16, 16, {'sweep': 2}, (2, 4)),
    (3, 4, {'sweep': 2, 'data': 1}, (2, 1)),
  ],
)
def test_a_sweep_takes_its_devices_first(batch, members, asked, found):
  mesh = make_mesh(batch, members=members, layout=Layout(**asked))
  assert (mesh.shape['sweep'], mesh.shape['data']) == found


@pytest.mark.parametrize(
  'text, told',
  [
    ('sweep:3', 'does not divide the 4 members'),
    ('data:3', 'does not divide the 16'),
    ('sweep:4,data:4', 'needs more devices than the 8'),
    ('sweep', 'Use sweep:N, data:M'),
    ('sweep:0', 'Use sweep:N, data:M'),
    ('data:2,data:2', 'Use sweep:N, data:M'),
  ],
)
def test_a_mesh_that_does_not_fit_is_told_of(text, told):
  with pytest.raises(UserError, match=re.escape(told)):
    make_mesh(16, members=4, layout=parse_layout(text))


def test_large_leaves_are_divided_where_that_is_asked_for():
  mesh = make_mesh(16, members=2, layout=Layout(2, 4))
  spec = lambda shape, **kinds: (
    sharding.state_sharding(mesh, **kinds)(jax.ShapeDtypeStruct(shape, 'float32')).spec
  )
  large, small = (512, 1024), (512, 2)
  assert spec(large) == P(None, None) and spec(large, fsdp=True) == P(None, 'data')
  assert spec(small, fsdp=True) == P(None, None)
  assert spec((1022, 1001), fsdp=True) == P(None, None)  # nothing to divide by four
  assert spec((2, *large), stacked=True, fsdp=True) == P('sweep', None, 'data')
  assert spec((2,), stacked=True) == P('sweep')


def test_each_device_draws_its_own_part():
  mesh = make_mesh(16)

  def draw(buffer, key, step, part=(0, 1)):
    number, parts = part
    return {'row': buffer[number * (16 // parts) + jnp.arange(16 // parts)]}

  split = jax.jit(
    sharding.shard_draw(mesh, SimpleNamespace(draw=draw, buffer_spec=P(), row_shardable=True))
  )
  found = split(sharding.MeshPlacement(mesh)(np.arange(16)), 0, 0)['row']
  np.testing.assert_array_equal(found, np.arange(16))
  assert [part.data.tolist() for part in found.addressable_shards][3] == [6, 7]
