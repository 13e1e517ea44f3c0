"""Colour transfer: statistics are those of the style, in the colour space of the paper."""

import numpy as np

from vaejax.perceptual import colour

RANDOM = np.random.default_rng(0)
CONTENT, STYLE = (RANDOM.uniform(low, high, (3, 8, 8, 3)) for low, high in ((0.3, 0.7), (0.4, 0.6)))


def test_the_colour_space_can_be_left_again():
  np.testing.assert_allclose(colour.from_opponent(colour.to_opponent(CONTENT)), CONTENT, atol=1e-6)


def test_grey_has_no_opponent_colours():
  # A grey has equal responses of the cones, but for the rounding of the paper's matrix.
  assert np.abs(colour.to_opponent(np.full((1, 3), 0.5))[0, 1:]).max() < 0.02


def test_the_transfer_has_the_statistics_of_the_style():
  moved = colour.to_opponent(colour.transfer(CONTENT, STYLE).astype(np.float64))
  wanted = colour.to_opponent(STYLE)
  for statistic in (np.mean, np.std):
    np.testing.assert_allclose(statistic(moved, (1, 2)), statistic(wanted, (1, 2)), atol=1e-4)


def test_a_picture_in_its_own_style_stays():
  np.testing.assert_allclose(colour.transfer(CONTENT, CONTENT), CONTENT, atol=1e-5)


def test_one_channel_is_scaled_as_it_is():
  x, y = CONTENT[..., :1], STYLE[..., :1]
  moved = colour.transfer(x, y)
  np.testing.assert_allclose(moved.mean((1, 2)), y.mean((1, 2)), rtol=1e-5)
  np.testing.assert_allclose(moved.std((1, 2)), y.std((1, 2)), rtol=1e-5)
