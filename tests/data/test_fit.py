"""One image to the size and channels that were asked for."""

import numpy as np
import pytest
from PIL import Image

from vaejax.data.fit import colour, fit_image, fitted_shape
from vaejax.errors import UserError


def image(h, w, c, seed=0):
  return np.random.default_rng(seed).integers(0, 256, (h, w, c), np.uint8)


@pytest.mark.parametrize('mode', ['resize', 'pad', 'crop'])
@pytest.mark.parametrize('size', [None, 8, 13])
@pytest.mark.parametrize('channels', [None, 1, 3, 4])
@pytest.mark.parametrize('shape', [(8, 8, 1), (9, 14, 3), (20, 5, 4), (8, 9, 2)])
def test_the_shape_is_the_one_foretold(shape, channels, size, mode):
  out = fit_image(image(*shape), size, channels, mode)
  assert out.dtype == np.uint8
  assert out.shape == fitted_shape(shape, size, channels)


@pytest.mark.parametrize('mode', ['resize', 'pad', 'crop'])
def test_nothing_to_do_changes_nothing(mode):
  x = image(8, 8, 3)
  assert fit_image(x, 8, 3, mode) is x
  assert fit_image(x) is x


@pytest.mark.parametrize('mode', ['resize', 'crop'])
def test_two_channels_are_resized_one_by_one(mode):
  x = image(9, 14, 2)
  one_by_one = [fit_image(x[..., c : c + 1], 5, mode=mode) for c in range(2)]
  difference = fit_image(x, 5, mode=mode) - np.concatenate(one_by_one, -1).astype(int)
  assert np.abs(difference).max() <= 1  # PIL rounds between rows and columns


def test_pad_centres_between_zeros():
  x = image(3, 4, 2) | 1
  out = fit_image(x, 8, mode='pad')
  assert np.array_equal(out[2:5, 2:6], x)
  assert np.count_nonzero(out) == x.size


def test_pad_takes_the_centre_of_what_is_larger():
  x = image(9, 4, 1)
  out = fit_image(x, 6, mode='pad')
  assert np.array_equal(out[:, 1:5], x[1:7])
  assert not out[:, 0].any() and not out[:, 5].any()


@pytest.mark.parametrize('dtype, unit', [(np.uint8, 1), (np.uint16, 257)])
def test_pad_fills_with_the_background(dtype, unit):
  for background, rgb in (
    ('white', (255,) * 3),
    ('10,20,200', (10, 20, 200)),
    ('black', (0,) * 3),
    ('auto', (0,) * 3),
  ):
    x = image(3, 4, 3).astype(dtype)
    out = fit_image(x, 8, mode='pad', background=background)
    assert out.dtype == dtype and np.array_equal(out[2:5, 2:6], x)
    out[2:5, 2:6] = np.asarray(rgb) * unit
    assert (out == np.asarray(rgb) * unit).all()
  grey = fit_image(image(3, 4, 1).astype(dtype), 8, mode='pad', background='10,20,200')
  luma = round(np.dot([10, 20, 200], [0.299, 0.587, 0.114]))
  assert grey[0, 0, 0] == luma * unit and grey[-1, -1, 0] == luma * unit


@pytest.mark.parametrize(
  'x', [image(3, 4, 4), image(3, 4, 2), image(3, 4, 5), image(3, 4, 3).astype(np.float32)]
)
def test_alpha_and_numbers_without_colour_are_padded_with_zeros(x):
  out = fit_image(x, 8, mode='pad', background='white')
  assert np.array_equal(out[2:5, 2:6], x) and np.count_nonzero(out) == np.count_nonzero(x)


@pytest.mark.parametrize('shape', [(10, 20, 3), (20, 10, 3)])
def test_crop_takes_the_centre_of_the_scaled_image(shape):
  x = image(*shape)
  assert np.array_equal(fit_image(x, 10, mode='crop'), fit_image(x, 10, mode='pad'))
  scaled = Image.fromarray(x).resize((shape[1] // 2, shape[0] // 2), Image.Resampling.BILINEAR)
  left, top = ((side - 5) // 2 for side in scaled.size)
  want = np.asarray(scaled)[top : top + 5, left : left + 5]
  assert np.array_equal(fit_image(x, 5, mode='crop'), want)


@pytest.mark.parametrize('shape', [(3, 4), (4, 3), (7, 100), (1, 1)])
@pytest.mark.parametrize('size', [1, 5, 64])
def test_crop_has_no_border(shape, size):
  out = fit_image(np.full((*shape, 1), 255, np.uint8), size, mode='crop')
  assert out.shape == (size, size, 1) and (out == 255).all()


@pytest.mark.parametrize('dtype', [np.uint16, np.float32])
@pytest.mark.parametrize('channels', [1, 5])
def test_real_numbers_are_resized_in_their_own_units(dtype, channels):
  plain = np.full((9, 14, channels), 40_000, dtype)
  for mode in ('resize', 'crop'):
    out = fit_image(plain, 5, mode=mode)
    assert out.dtype == dtype and (out == 40_000).all()
  x = np.random.default_rng(0).integers(0, 65536, (8, 8, channels)).astype(dtype)
  assert np.abs(fit_image(x, 4).mean((0, 1)) - x.mean((0, 1))).max() < 4000
  assert np.array_equal(fit_image(x, 10, mode='pad')[1:9, 1:9], x)
  with pytest.raises(UserError, match=r'data\.channels=3 does not apply to images of'):
    fit_image(x, channels=3)


@pytest.mark.parametrize(
  'text, rgb',
  [
    ('white', (255,) * 3),
    ('black', (0,) * 3),
    ('30,60,90', (30, 60, 90)),
    ('(1, 2, 3)', (1, 2, 3)),
  ],
)
def test_colours(text, rgb):
  assert colour(text) == rgb


def test_resize_keeps_a_plain_colour_and_the_left_side_left():
  plain = np.full((9, 14, 3), (10, 200, 77), np.uint8)
  assert (fit_image(plain, 5) == (10, 200, 77)).all()
  half = np.zeros((10, 10, 1), np.uint8)
  half[:, :5] = 255
  out = fit_image(half, 20)
  assert (out[:, :8] == 255).all() and not out[:, 12:].any()


def test_shrinking_averages_so_fine_stripes_become_grey():
  stripes = np.zeros((64, 64, 1), np.uint8)
  stripes[:, ::2] = 255
  out = fit_image(stripes, 16)[:, 1:-1]
  assert np.abs(out.astype(int) - 127).max() <= 2


def test_grey_repeats_and_colour_becomes_luma():
  grey = image(6, 6, 1)
  assert np.array_equal(fit_image(grey, channels=3), np.repeat(grey, 3, -1))
  colour = image(6, 6, 3)
  luma = colour @ np.array([0.299, 0.587, 0.114])
  assert np.abs(fit_image(colour, channels=1)[..., 0] - luma).max() <= 1


def test_grey_and_colour_become_opaque():
  for x in (image(6, 6, 1), image(6, 6, 3)):
    out = fit_image(x, channels=4)
    assert (out[..., :3] == x).all() and (out[..., 3] == 255).all()


@pytest.mark.parametrize('c, channels', [(4, 3), (2, 1)])
def test_alpha_is_dropped(c, channels):
  x = image(6, 6, c)
  assert np.array_equal(fit_image(x, channels=channels), x[..., :channels])


@pytest.mark.parametrize(
  'setting, message',
  [
    ({'size': 0}, 'data.size=0'),
    ({'size': True}, 'data.size=True'),
    ({'size': 8.0}, 'data.size=8.0'),
    ({'channels': 2}, 'data.channels=2 is not supported. Give 1'),
    ({'mode': 'cut'}, "data.fit='cut' is unknown. Choose 'resize', 'pad' or 'crop'"),
  ],
)
def test_other_settings_are_refused(setting, message):
  with pytest.raises(UserError, match=message):
    fit_image(image(4, 4, 1), **setting)


@pytest.mark.parametrize('channels', [2, 4])
def test_alpha_is_put_onto_a_background(channels):
  image = np.random.default_rng(0).integers(0, 256, (4, 5, channels), dtype=np.uint8)
  image[0, 0, -1], image[0, 1, -1] = 0, 255
  found = fit_image(image, channels=3, background='10,20,30')
  alpha = image[..., -1:] / 255
  want = image[..., : channels - 1] * alpha + np.array([10, 20, 30]) * (1 - alpha)
  np.testing.assert_allclose(found, want, atol=1)
  assert tuple(found[0, 0]) == (10, 20, 30)
  np.testing.assert_array_equal(found[0, 1], np.broadcast_to(image[0, 1, : channels - 1], 3))
