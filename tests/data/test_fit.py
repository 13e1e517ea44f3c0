"""One image to the size and channels that were asked for."""

import numpy as np
import pytest

from vaejax.data.fit import fit_image, fitted_shape
from vaejax.errors import UserError


def image(h, w, c, seed=0):
  return np.random.default_rng(seed).integers(0, 256, (h, w, c), np.uint8)


@pytest.mark.parametrize('mode', ['resize', 'pad'])
@pytest.mark.parametrize('size', [None, 8, 13])
@pytest.mark.parametrize('channels', [None, 1, 3])
@pytest.mark.parametrize('shape', [(8, 8, 1), (9, 14, 3), (20, 5, 4), (8, 9, 2)])
def test_the_shape_is_the_one_foretold(shape, channels, size, mode):
  out = fit_image(image(*shape), size, channels, mode)
  assert out.dtype == np.uint8
  assert out.shape == fitted_shape(shape, size, channels)


@pytest.mark.parametrize('mode', ['resize', 'pad'])
def test_nothing_to_do_changes_nothing(mode):
  x = image(8, 8, 3)
  assert fit_image(x, 8, 3, mode) is x
  assert fit_image(x) is x


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
    ({'mode': 'crop'}, "data.fit='crop' is unknown. Choose 'resize' or 'pad'"),
  ],
)
def test_other_settings_are_refused(setting, message):
  with pytest.raises(UserError, match=message):
    fit_image(image(4, 4, 1), **setting)
