"""Random changes of images: each is what its name says, and a function of the key of its row."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from chunks import jit_as_users

from vaejax.data.device import augment as module
from vaejax.data.device.augment import Augment, augment, check, evaluation, output_shape
from vaejax.data.device.jitter import jitter, turn_hue
from vaejax.errors import UserError

ALL = Augment(
  flip=True,
  pad=2,
  crop=9,
  shift=2,
  rotate=20.0,
  brightness=0.2,
  contrast=0.2,
  saturation=0.2,
  hue=0.1,
  cutout=3,
)


def keys(n, seed=0):
  return jax.random.split(jax.random.key(seed), n)


def images(n=6, shape=(10, 12, 3), seed=0):
  return np.random.default_rng(seed).integers(1, 256, (n, *shape), np.uint8)


def same(n, shape=(8, 8, 3)):
  """n copies of one image, without zeros."""
  return np.repeat(images(1, shape), n, axis=0)


def changed(settings, image, seed=0, levels=256):
  # As users compile: the nearest pixel of a turned picture depends on the rounding.
  program = jit_as_users(lambda image, keys: augment(settings, image, keys, levels))
  return np.asarray(program(jnp.asarray(image), keys(len(image), seed)))


def test_nothing_is_on_by_default():
  image = images()
  assert np.array_equal(changed(Augment(), image), image)


def test_half_are_mirrored_and_mirroring_twice_is_the_identity():
  n = 2000
  image = same(n, (3, 4, 2))
  flipped = changed(Augment(flip=True), image)
  plain = (flipped == image).all((1, 2, 3))
  assert np.array_equal(flipped[~plain], image[~plain][:, :, ::-1])
  assert abs(plain.mean() - 0.5) < 4 * 0.5 / np.sqrt(n)
  assert np.array_equal(changed(Augment(flip=True), flipped), image)


def shifted(image, down, right):
  """np.roll of an image [H, W, C] with zeros, where down and right are at least 0 or below."""
  moved = np.roll(image, (down, right), (0, 1))
  height, width = image.shape[:2]
  y, x = np.arange(height) - down, np.arange(width) - right
  inside = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))
  return moved * inside[..., None].astype(image.dtype)


@pytest.mark.parametrize('settings', [Augment(shift=2), Augment(pad=2)])
def test_a_shift_is_a_roll_with_zeros_and_every_one_is_as_likely(settings):
  n = 5000
  image = same(n, (6, 7, 1))
  result = changed(settings, image)
  places = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
  counts = [(result == shifted(image[0], *place)).all((1, 2, 3)).sum() for place in places]
  assert sum(counts) == n
  # Multinomial counts, each with a standard deviation of 13.9.
  assert max(abs(count - n / 25) for count in counts) < 5 * np.sqrt(n * 0.04 * 0.96)


def test_a_crop_is_a_part_of_the_image_and_every_one_is_as_likely():
  n, image = 3000, same(3000, (6, 7, 1))
  result = changed(Augment(crop=4), image)
  places = [(top, left) for top in range(3) for left in range(4)]
  counts = [
    (result == image[:, top : top + 4, left : left + 4]).all((1, 2, 3)).sum()
    for top, left in places
  ]
  assert sum(counts) == n and result.shape == (n, 4, 4, 1)
  assert max(abs(count - n / 12) for count in counts) < 5 * np.sqrt(n / 12)


def test_evaluation_takes_the_centre_and_draws_nothing():
  image = images()
  centre = changed(evaluation(ALL), image)
  assert np.array_equal(centre, image[:, 0:9, 1:10])
  assert np.array_equal(changed(evaluation(Augment(flip=True, cutout=3)), image), image)
  assert output_shape(ALL, (10, 12, 3)) == output_shape(evaluation(ALL), (10, 12, 3)) == (9, 9, 3)


def test_a_rotation_by_0_90_and_180_is_exact():
  image = images(3, (9, 9, 2)).astype(np.float32)
  turned = np.asarray(jit_as_users(module.rotate)(image, jnp.asarray([0.0, 90.0, 180.0])))
  assert np.array_equal(turned[0], image[0])
  for i, times in ((1, 1), (2, 2)):
    assert np.abs(turned[i] - np.rot90(image[i], times)).max() < 0.01
  # Between pixels, a ramp is still a ramp: bilinear interpolation is exact on it.
  y, x = np.mgrid[:21, :21] - 10.0
  ramp = jnp.asarray((x + 100)[None, ..., None], jnp.float32)
  turned = np.asarray(module.rotate(ramp, jnp.asarray([30.0])))[0, ..., 0]
  want = 100 + x * np.cos(np.pi / 6) - y * np.sin(np.pi / 6)
  inside = x**2 + y**2 < 81
  assert np.abs(turned - want)[inside].max() < 1e-3


def test_rotations_stay_within_their_angle():
  # A pixel far from the centre moves along a circle: its angle is that of the draw.
  image = np.zeros((400, 41, 41, 1), np.uint8)
  image[:, 18:23, 36:41] = 255
  result = changed(Augment(rotate=25.0), image).astype(float)[..., 0]
  y, x = np.mgrid[:41, :41] - 20.0
  total = result.sum((1, 2))
  angle = np.rad2deg(
    np.arctan2(-(result * y).sum((1, 2)) / total, (result * x).sum((1, 2)) / total)
  )
  assert -25.5 < angle.min() < -22 and 22 < angle.max() < 25.5 and abs(angle.mean()) < 3


def test_results_are_levels_of_the_data():
  step = 255 / 16
  image = np.round(np.random.default_rng(0).integers(0, 17, (20, 8, 8, 1)) * step).astype(np.uint8)
  allowed = np.round(np.arange(17) * step)
  for settings in (Augment(rotate=30.0), Augment(brightness=0.5, contrast=0.5)):
    result = changed(settings, image, levels=17)
    assert result.dtype == np.uint8 and np.isin(result, allowed).all()
    assert not np.array_equal(result, image)
  binary = (image > 127).astype(np.float32)
  assert set(np.unique(changed(Augment(rotate=30.0), binary, levels=2))) == {0.0, 1.0}
  real = np.random.default_rng(0).normal(size=(4, 8, 8, 5)).astype(np.float32)
  assert len(np.unique(changed(Augment(rotate=30.0), real, levels=0))) > 500


def test_brightness_is_one_factor_for_each_image_within_its_bounds():
  image = np.full((2000, 4, 4, 3), 100, np.uint8)
  result = changed(Augment(brightness=0.3), image)
  assert (result == result[:, :1, :1, :1]).all()
  values = result[:, 0, 0, 0].astype(float)
  assert values.min() in (70, 71) and values.max() in (129, 130)
  assert abs(values.mean() - 100) < 4 * 30 / np.sqrt(3 * 2000)
  bright = changed(Augment(brightness=1.0), np.full((500, 2, 2, 1), 200, np.uint8))
  assert bright.min() < 10 and bright.max() == 255  # clipped, and not wrapped


def test_contrast_and_saturation_keep_the_mean_and_the_grey():
  image = np.random.default_rng(0).uniform(0.4, 0.6, (5, 6, 6, 3)).astype(np.float32)
  luma = image @ np.asarray([0.299, 0.587, 0.114], np.float32)
  noise = np.full((5, 4), 0.5, np.float32)
  more = np.asarray(jitter(image, noise, contrast=0.4))
  mean = luma.mean((1, 2))[:, None, None, None]
  np.testing.assert_allclose(more, mean + 1.2 * (image - mean), rtol=1e-5)
  more = np.asarray(jitter(image, noise, saturation=0.4))
  np.testing.assert_allclose(more, luma[..., None] + 1.2 * (image - luma[..., None]), rtol=1e-5)
  grey = np.repeat(image[..., :1], 3, -1)
  np.testing.assert_allclose(jitter(grey, noise, saturation=0.4, hue=0.5), grey, rtol=1e-5)


def test_hue_is_that_of_hsv():
  colours = np.random.default_rng(0).uniform(size=(50, 3)).astype(np.float32)
  for turns in (0.0, 0.25, -0.3):
    result = np.asarray(turn_hue(colours, jnp.float32(turns)))
    for colour, turned in zip(colours, result, strict=True):
      h, s, v = colorsys.rgb_to_hsv(*map(float, colour))
      np.testing.assert_allclose(turned, colorsys.hsv_to_rgb((h + turns) % 1, s, v), atol=2e-5)


def test_cutout_hides_a_square_exactly_and_anywhere():
  image = images(3000, (6, 7, 2))
  hidden = changed(Augment(cutout=3), image) == 0
  assert (hidden.sum((1, 2)) == 9).all()
  assert (hidden.any(2).sum(1) == 3).all() and (hidden.any(1).sum(1) == 3).all()
  place = np.argmax(hidden[..., 0].reshape(3000, -1), 1)
  counts = np.unique(place, return_counts=True)[1]
  assert len(counts) == 4 * 5 and np.abs(counts - 150).max() < 5 * np.sqrt(150)


def test_a_row_depends_on_its_own_key_alone():
  image = images(6)
  together = changed(ALL, image)
  assert together.shape == (6, 9, 9, 3) and np.array_equal(changed(ALL, image), together)
  assert not np.array_equal(changed(ALL, image, seed=1), together)
  for part in (slice(0, 1), slice(2, 5)):
    alone = jit_as_users(lambda x, k: augment(ALL, x, k))(jnp.asarray(image[part]), keys(6)[part])
    assert np.array_equal(alone, together[part])
  # As members of a sweep draw, several keys for each row.
  both = jnp.stack([keys(6), keys(6, 1)])
  stack = jit_as_users(jax.vmap(lambda k: augment(ALL, jnp.asarray(image), k)))(both)
  assert np.array_equal(stack[0], together)
  assert np.array_equal(stack[1], changed(ALL, image, seed=1))


@pytest.mark.parametrize('name', [n for n in Augment._fields if n not in ('edge', 'centre')])
def test_each_change_draws_for_each_row(name):
  settings = ALL._replace(mutate=0.1)
  result = changed(Augment(**{name: getattr(settings, name)}), same(40, (12, 12, 3)))
  assert len({row.tobytes() for row in result}) >= (2 if name == 'flip' else 10)


def test_frames_of_a_video_share_one_draw():
  still = np.repeat(images(4, (1, 10, 12, 3)), 5, axis=1)
  result = changed(ALL, still)
  assert result.shape == (4, 5, 9, 9, 3)
  assert (result == result[:, :1]).all()
  assert np.array_equal(result[:, 0], changed(ALL, still[:, 0]))


def test_what_moves_in_repeats_the_edge():
  picture = np.full((200, 9, 9, 1), 255, np.uint8)
  picture[:, 3:6, 4] = np.arange(3, dtype=np.uint8)[:, None]
  keys = jax.random.split(jax.random.key(0), 200)
  moved = np.asarray(augment(Augment(shift=2, edge=True), picture, keys))
  inner = moved[moved < 255].reshape(200, 3)
  np.testing.assert_array_equal(inner, np.broadcast_to(np.arange(3), (200, 3)))
  turned = augment(Augment(rotate=90.0, edge=True), np.full((8, 9, 9, 1), 255, np.uint8), keys[:8])
  np.testing.assert_array_equal(turned, 255)


@pytest.mark.parametrize('channels', [1, 2, 5])
def test_any_number_of_channels_moves_together(channels):
  settings = Augment(flip=True, pad=1, shift=1, rotate=10.0, cutout=2)
  many = np.repeat(images(5, (8, 8, 1)), channels, -1)
  result = changed(settings, many)
  assert result.shape == many.shape and (result == result[..., :1]).all()
  assert np.array_equal(result[..., :1], changed(settings, many[..., :1]))


@pytest.mark.parametrize(
  'settings, shape, more, line',
  [
    ({'crop': 33}, (32, 32, 3), {}, 'crop=33 is larger than the images of 32x32. Use at most 32'),
    ({'shift': 8}, (8, 9, 1), {}, 'shift=8 is too large for images of 8x9. Use at most 7'),
    ({'cutout': 7, 'crop': 6}, (8, 8, 1), {}, 'cutout=7 is too large for images of 6x6. Use at'),
    ({'hue': 0.1}, (8, 8, 1), {}, 'hue=0.1 needs 3 channels of 8 bits, but the data has 1 channel'),
    ({'contrast': 0.1}, (8, 8, 4), {}, 'needs 1 or 3 channels of 8 bits, but the data has 4 ch'),
    ({'brightness': 1.0}, (8, 8, 3), {'real': True}, 'has 3 channels of real numbers. Set'),
    ({'contrast': 0.1}, (8, 8, 1), {'binarise': 'static'}, 'needs grey levels, but data.binarise='),
  ],
)
def test_a_setting_that_does_not_fit_is_an_error(settings, shape, more, line):
  with pytest.raises(UserError, match=r'data\.augment') as error:
    check(Augment(**settings), shape, **more)
  assert line in str(error.value) and '\n' not in str(error.value)


def test_settings_that_fit_pass():
  check(ALL, (10, 12, 3))
  check(Augment(flip=True, pad=9, crop=8, shift=7, rotate=9.0, cutout=8), (8, 8, 5), real=True)
  check(Augment(brightness=0.1, contrast=0.1), (4, 8, 8, 1), binarise='dynamic')
