"""Rows of pictures with titles."""

import numpy as np

from vaejax.reporting.titled import titled


def test_rows_of_several_sizes_have_one_height_and_stay_in_place():
  small, large = np.zeros((3, 16, 16, 1)), np.ones((3, 64, 64, 3))
  large[..., 1:] = 0
  picture = titled([('input', small), ('a much longer title', large)])
  assert picture.shape[0] == 64 + 2 + 64 and picture.dtype == np.uint8
  assert (picture[:64, -64:] == 0).all() and (picture[66:, -64:] == (255, 0, 0)).all()
  # The titles are dark on white, at the left.
  left = picture[:, : picture.shape[1] - 3 * 64 - 4]
  assert (left[:64] < 128).any() and (left[66:] < 128).any()


def test_without_titles_there_is_no_margin_and_nan_is_grey():
  image = np.full((1, 64, 64, 1), np.nan)
  assert titled([('', image)]).shape == (64, 64, 3) and (titled([('', image)]) == 80).all()
  alpha = np.zeros((1, 64, 64, 4))
  assert (titled([('', alpha)]) == 255).all()
