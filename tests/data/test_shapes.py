"""The procedural shapes: their factors, their geometry, and their split."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.data.sets import shapes

render = jax.jit(shapes.render, static_argnums=1)


@cache
def centred():
  """Every shape, scale and orientation in the middle, bool [3, 6, 40, 64, 64]."""
  at = np.indices((3, 6, 40, 1, 1)).reshape(5, -1).T + np.array([0, 0, 0, 16, 16])
  return np.asarray(render(jnp.asarray(at), 64)).reshape(3, 6, 40, 64, 64) > 0


def reference():
  """The same in float64, by way of the turned grid of each orientation."""
  found = np.zeros((3, 6, 40, 64, 64), bool)
  row, column = np.indices((64, 64)) + 0.5 - 32.5
  for scale in range(6):
    for turn in range(40):
      at = (column + 1j * row) / (6 + 1.2 * scale) * np.exp(-2j * np.pi * turn / 40)
      u, v = at.real, at.imag
      a, b = 1.15 * u, 0.1 - 1.15 * v
      found[:, scale, turn] = (
        (abs(u) <= 0.8) & (abs(v) <= 0.8),
        u**2 + v**2 / 0.36 <= 1.007,
        (a**2 + b**2 - 1) ** 3 <= a**2 * b**3 + 0.0045,
      )
  return found


def test_rounding_decides_no_pixel():
  assert np.array_equal(centred(), reference())


def test_factors_count_with_the_row_fastest():
  index = jnp.asarray([0, 1, 32, 1024, 40_960, 245_760, 737_279])
  want = [[0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0], [0, 1, 0, 0, 0]]
  want += [[1, 0, 0, 0, 0], [2, 5, 39, 31, 31]]
  assert np.array_equal(shapes.factors(index), want)
  assert list(shapes.FACTORS.values()) == [3, 6, 40, 32, 32] and shapes.SIZE == 737_280


def test_images_are_binary_and_never_clipped():
  image = centred()
  assert image.any((3, 4)).all()
  reach = np.abs(np.argwhere(image)[:, 3:] - 32)
  # The centre comes to within 16 pixels of an edge.
  assert 12 <= reach.max() < 16
  corners = [[k, 5, o, c, r] for k in range(3) for o in range(40) for c in (0, 31) for r in (0, 31)]
  found = np.asarray(render(jnp.asarray(corners), 64))
  assert found.dtype == np.uint8 and set(np.unique(found)) == {0, 255}
  assert not found[:, [0, -1]].any() and not found[:, :, [0, -1]].any()


def test_areas_grow_with_the_square_of_the_scale():
  radius = 12 * (0.5 + 0.1 * np.arange(6))
  area = centred().sum((3, 4)).mean(2) / radius**2
  # A square of side 1.6, an ellipse of axes 1 and 0.6, the heart curve's 3.66 over 1.15².
  want = np.array([[1.6**2], [0.6 * np.pi], [3.66 / 1.15**2]])
  assert np.abs(area / want - 1).max() < 0.04


def test_the_orientation_turns_the_shape():
  image = centred()
  row, column = np.indices((64, 64)) - 32
  for k, turns in ((0, 10), (1, 20), (2, 40)):
    distinct = {image[k, 5, o].tobytes() for o in range(40)}
    # A square has four symmetries, an ellipse two, a heart one.
    assert len(distinct) == turns
  quarter = np.rot90(image[2, 5, 0, 1:, 1:], -1)
  assert np.array_equal(image[2, 5, 10, 1:, 1:], quarter)
  heart = image[2, 5, 0]
  assert np.array_equal(heart[1:, 1:], heart[1:, :0:-1])
  # Two lobes above, one tip below.
  lobes = heart[np.flatnonzero(heart.any(1))[0]]
  assert not lobes[32] and lobes[:32].any() and lobes[33:].any()
  assert heart[np.flatnonzero(heart.any(1))[-1]].sum() == 1
  assert row[heart].max() > -row[heart].min() and column[heart].mean() == 0


def test_a_step_of_column_or_row_moves_the_image_by_a_pixel():
  at = np.array([[k, s, o, 10, 20] for k in range(3) for s in (0, 3, 5) for o in (0, 7, 33)])
  moved = lambda column, row: render(jnp.asarray(at + np.array([0, 0, 0, column, row])), 64)
  here, right, down = moved(0, 0), moved(5, 0), moved(0, 3)
  assert np.array_equal(np.roll(here, 5, axis=2), right)
  assert np.array_equal(np.roll(here, 3, axis=1), down)


def test_another_size_shows_the_same_picture():
  at = jnp.asarray([[0, 5, 0, 16, 16], [1, 5, 4, 3, 30], [2, 4, 11, 31, 0]])
  large = np.asarray(render(at, 128), float).reshape(3, 64, 2, 64, 2).mean((2, 4))
  assert np.abs(large - np.asarray(render(at, 64), float)[..., 0]).mean() < 255 * 0.01
  assert render(at, 32).shape == (3, 32, 32, 1)


def test_an_image_depends_on_its_index_alone():
  table = shapes.table('train')
  index = np.arange(100, 160)
  whole = table.fetch(index)
  on_device = jax.jit(table.render)(jnp.asarray(index))
  shuffled = table.fetch(index[::-1][:7])
  for name in ('image', 'label', 'factors'):
    assert np.array_equal(on_device[name], whole[name])
    assert np.array_equal(shuffled[name], whole[name][::-1][:7])
  assert np.array_equal(whole['label'], whole['factors'][:, 0])
  assert np.array_equal(whole['image'], render(jnp.asarray(whole['factors']), 64))
  for name, field in table.row.items():
    assert whole[name].shape == (60, *field.shape) and whole[name].dtype == field.dtype
  assert table.classes == 3


def test_train_and_test_are_disjoint_and_the_whole():
  train, test = shapes.table('train', size=1), shapes.table('test', size=1)
  assert train.size + test.size == shapes.SIZE and test.size == shapes.SIZE // 10
  counts = np.array(list(shapes.FACTORS.values()))
  seen = np.zeros(shapes.SIZE, int)
  for table in (train, test):
    values = table.load()['factors']
    assert len(values) == table.size
    np.add.at(seen, np.ravel_multi_index(values.T, counts), 1)
  assert (seen == 1).all()
  # The test split is spread over all factors, as it was drawn at random.
  for column, count in zip(values.T, counts, strict=True):
    seen = np.bincount(column, minlength=count)
    assert np.abs(seen / (test.size / count) - 1).max() < 6 / np.sqrt(test.size / count)


@pytest.mark.parametrize('size, channels', [(None, None), (16, 3)])
def test_size_and_channels(size, channels):
  table = shapes.table('test', size, channels)
  image = table.fetch(np.arange(2))['image']
  assert image.shape == (2, size or 64, size or 64, channels or 1)
  assert (image == image[..., :1]).all() and table.row['image'].shape == image.shape[1:]
