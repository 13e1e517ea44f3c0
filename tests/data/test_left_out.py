"""A class that is left out of training: none of its rows is drawn, and all others are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from batches import assert_same, batches

from vaejax.config.load import load_config
from vaejax.core import sharding
from vaejax.core.devices import Layout, make_mesh
from vaejax.core.stack import make_sweep
from vaejax.data import left_out, source, sources, splits
from vaejax.data.table import of_arrays
from vaejax.errors import UserError

LABEL = np.asarray([3, 0, 2, 2, 0, 3, 2, 0, 0, 3, 2, 2, 0])  # none of class 1
KEPT = {number: np.flatnonzero(number != LABEL) for number in range(4)}


def number(value):
  return jnp.float32(value)


def table():
  image = np.arange(13 * 4, dtype=np.uint8).reshape(13, 2, 2, 1)
  return of_arrays({'image': image, 'label': LABEL.astype(np.int32)}, 4, 'rows')


def made(n, **settings):
  return source.make(table(), n, label=LABEL, **settings)


def without(from_source, value):
  return from_source._replace(draw=lambda b, key, step: from_source.draw(b, key, step, value))


@pytest.mark.parametrize('value', KEPT)
def test_the_index_table_has_the_rows_of_the_other_classes(value):
  shared = left_out.by_class(LABEL, 4)
  size = left_out.size(shared, value)
  assert size == len(KEPT[value])
  index = left_out.rows(jax.tree.map(jnp.asarray, shared), jnp.arange(size), value)
  assert np.array_equal(np.sort(index), KEPT[value])


@pytest.mark.parametrize('value', KEPT)
def test_every_epoch_has_each_kept_row_once(value):
  size = len(KEPT[value])
  drawn = batches(without(made(size), number(value)), 0, 3, jax.random.key(0))
  pixel = [np.round(batch['image'][:, 0, 0, 0] * 255).astype(int) // 4 for batch in drawn]
  assert all(np.array_equal(np.sort(rows), KEPT[value]) for rows in pixel)
  assert not np.array_equal(pixel[0], pixel[1])
  assert all(value not in batch['label'] for batch in drawn)


def test_members_draw_what_their_single_runs_draw():
  one, values = made(8, kind='dynamic'), jnp.arange(4.0)
  keys = jax.random.split(jax.random.key(1), 4)
  (buffer, _), *_ = one.buffers(0, 9)
  _, draw = make_sweep(lambda state, batch: None, one.draw)
  for step in (0, 8):
    steps = jnp.full(4, step)
    stacked = jax.device_get(jax.jit(draw)(buffer, keys, steps, values))
    for i in range(4):
      single = jax.device_get(jax.jit(one.draw)(buffer, keys[i], steps[i], values[i]))
      assert_same([{name: x[i] for name, x in stacked.items()}], [single])


def test_eight_devices_draw_what_one_draws():
  keys, steps, values = jax.random.split(jax.random.key(1), 2), jnp.zeros(2, int), jnp.arange(2.0)
  want = made(8, kind='dynamic')
  _, draw = make_sweep(lambda state, batch: None, want.draw)
  (buffer, _), *_ = want.buffers(0, 1)
  expected = jax.device_get(jax.jit(draw)(buffer, keys, steps, values))
  mesh = make_mesh(8, members=2, layout=Layout(2, 4))
  if mesh.size != 8:
    pytest.skip(f'{jax.device_count()} devices')
  sharded = made(8, kind='dynamic', put=sharding.MeshPlacement(mesh))
  (buffer, _), *_ = sharded.buffers(0, 1)
  draw = sharding.shard_draw(mesh, sharded, draw)
  assert_same([jax.device_get(jax.jit(draw)(buffer, keys, steps, values))], [expected])


def data(**fields):
  config = load_config('configs/anomaly.py:digits,smoke', ())
  config.data.update(fields)
  return config.data


def test_what_cannot_be_left_out(project):
  rows = splits.table(data(), 'train', None)
  assert sources.train(data(), rows, 8, 0, leave_out=True).resident
  with pytest.raises(UserError, match=r'digits train is streamed\. Set data\.mode'):
    sources.train(data(mode='stream'), rows, 8, 0, leave_out=True)
  with pytest.raises(UserError, match=r'hyper\.left_out=4 is not a class of rows\. Choose 0 to 3'):
    left_out.check([0, 4], LABEL, 4, 'rows')
  with pytest.raises(UserError, match=r'hyper\.left_out=0\.5 is not a class'):
    left_out.check([0.5], LABEL, 4, 'rows')
  with pytest.raises(UserError, match='leaves no row of rows'):
    left_out.check([2], np.full(5, 2), 4, 'rows')
  with pytest.raises(UserError, match='2 rows of rows have none'):
    left_out.check([2], np.asarray([-1, 2, -1, 0]), 4, 'rows')
  left_out.check([0, 1, 2, 3], LABEL, 4, 'rows')
