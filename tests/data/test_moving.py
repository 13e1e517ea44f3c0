"""The moving digits: where they are, that they bounce, and that a video is its index."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.data.sets import moving
from vaejax.errors import UserError


def centres(video) -> np.ndarray:
  """The centre of brightness of each frame of [N, T, H, W, 1]: [N, T, 2], column and row."""
  bright = np.asarray(video, np.float64)[..., 0]
  at = np.arange(bright.shape[-1])
  total = bright.sum((2, 3))
  return np.stack([bright.sum(2) @ at, bright.sum(3) @ at], -1) / total[..., None]


def test_paths_are_those_of_a_ball_between_walls():
  _, found = moving.paths(jnp.arange(20), 3, 80)
  seen = 0
  for corner in np.asarray(found).reshape(-1, 80):
    assert corner.min() >= 0 and corner.max() <= moving.RANGE == 288
    steps = np.diff(corner)
    place, way = corner[0], steps[0]
    speed = np.abs(steps).max()
    assert 12 <= speed <= 40
    if abs(way) != speed:
      continue  # it meets a wall at once: its direction is not to be seen
    # A ball by hand: it goes on until it would be outside, and is thrown back by as much.
    seen += 1
    for then in corner[1:]:
      place += way
      if not 0 <= place <= 288:
        place, way = (-place if place < 0 else 2 * 288 - place), -way
      assert place == then
    assert {-speed, speed} <= set(steps)  # thrown back at least once
  assert seen > 30


def test_a_whole_pixel_moves_the_sprite_as_it_is():
  sprite = np.random.default_rng(0).integers(0, 256, (2, 5, 5), np.uint8)
  corner = jnp.asarray([[[0, 3, 7], [0, 1, 7]], [[2, 2, 2], [6, 5, 4]]]) * moving.UNIT
  found = np.asarray(moving.place(jnp.asarray(sprite), corner, 12))
  for n in range(2):
    for t, (x, y) in enumerate(np.asarray(corner[n]).T // moving.UNIT):
      want = np.zeros((12, 12), np.uint8)
      want[y : y + 5, x : x + 5] = sprite[n]
      np.testing.assert_array_equal(found[n, t], want)


def test_between_pixels_it_is_interpolated():
  sprite = jnp.asarray([[[255, 0], [0, 0]]], jnp.uint8)
  corner = jnp.asarray([[[4], [8]]])  # a quarter of a pixel right and half of one down
  found = np.asarray(moving.place(sprite, corner, 4))[0, 0]
  np.testing.assert_array_equal(found[:2, :2], [[96, 32], [96, 32]])
  assert found.sum() == 256  # 255 but for rounding up


@pytest.mark.parametrize('size', [32, 64])
def test_the_same_video_at_any_size(size):
  found = moving.table('test', size).fetch(np.arange(30))['video']
  small = moving.table('test', 32).fetch(np.arange(30))['video']
  assert found.shape == (30, 15, size, size, 1) and found.dtype == np.uint8
  scale = size / 32
  # The centres of pixels, in 1/32 of the frame.
  at, want = (centres(found) + 0.5) / scale, centres(small) + 0.5
  assert np.abs(at - want).max() < 1.2
  steps = np.linalg.norm(np.diff(centres(found), axis=1), axis=-1) / scale
  assert 0.75 < np.median(steps) < 2.5 * 2**0.5


def test_the_digit_stays_whole():
  video = moving.table('test').fetch(np.arange(50))['video'].astype(int)
  total = video.sum((2, 3, 4))
  assert np.abs(total / total.mean(1, keepdims=True) - 1).max() < 0.01


def test_a_video_depends_on_its_index_alone():
  table = moving.table('train', 16, frames=4)
  whole = table.fetch(np.arange(90, 110))
  on_device = jax.jit(table.render)(jnp.arange(90, 110))
  some = table.fetch(np.array([109, 95]))
  for name, field in table.row.items():
    np.testing.assert_array_equal(on_device[name], whole[name])
    np.testing.assert_array_equal(some[name], whole[name][[19, 5]])
    assert whole[name].shape == (20, *field.shape) and whole[name].dtype == field.dtype
  assert len(np.unique(whole['video'].reshape(20, -1), axis=0)) == 20


def test_longer_videos_begin_as_the_shorter():
  short, long = (moving.table('train', frames=t).fetch(np.arange(5))['video'] for t in (6, 20))
  np.testing.assert_array_equal(short, long[:, :6])


def test_test_digits_are_of_other_writers():
  train, test = (moving.sprites(split, 14)[0] for split in ('train', 'test'))
  assert (len(train), len(test)) == (1500, 297)
  assert not {x.tobytes() for x in train} & {x.tobytes() for x in test}
  tables = [moving.table(split, 16, frames=1) for split in ('train', 'test')]
  assert [t.size for t in tables] == [100_000, 1000] and {t.classes for t in tables} == {10}


def test_labels_are_of_the_digit_shown_and_evenly_drawn():
  number, _ = moving.paths(jnp.arange(3000), 10, 1)
  assert np.abs(np.bincount(number, minlength=10) - 300).max() < 6 * 300**0.5
  table = moving.table('test', 16, frames=1)
  first, _ = moving.paths(jnp.arange(5) + 100_000, 297, 1)
  np.testing.assert_array_equal(
    table.fetch(np.arange(5))['label'], moving.sprites('test', 7)[1][np.asarray(first)]
  )


def test_channels_and_sizes():
  video = moving.table('test', 16, channels=3, frames=2).fetch(np.arange(2))['video']
  assert video.shape == (2, 2, 16, 16, 3) and (video == video[..., :1]).all()
  for size in (8, 28):
    with pytest.raises(UserError, match=r'data\.size='):
      moving.table('test', size)
