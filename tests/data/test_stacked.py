"""Stacked images: what is in their channels, their labels, and both ways to read them."""

import numpy as np
import pytest

from vaejax.config.base import base
from vaejax.data import splits
from vaejax.data.stacked import members
from vaejax.errors import UserError


def table(name, split='train'):
  data = base('', {}).data
  data.name = name
  return splits.table(data, split, None)


def test_a_channel_is_a_row_of_the_base_and_the_label_counts_theirs():
  single, stacked = table('digits').load(), table('stacked_digits')
  rows = stacked.load()
  assert rows['image'].shape == (128_000, 8, 8, 3) and stacked.classes == 1000
  known = {single['image'][i].tobytes(): single['label'][i] for i in range(1500)}
  for i in range(0, 128_000, 9_973):
    each = [known[np.ascontiguousarray(rows['image'][i, ..., c]).tobytes()] for c in range(3)]
    assert rows['label'][i] == 100 * each[0] + 10 * each[1] + each[2]
  some = np.asarray([3, 1499, 0])
  for name, values in stacked.fetch(some).items():
    np.testing.assert_array_equal(values, rows[name][some])
    assert values.dtype == rows[name].dtype == stacked.row[name].dtype


def test_channels_have_orders_of_their_own_that_leave_none_out():
  found = members(np.arange(1500), 1500)
  for channel in found.T:
    np.testing.assert_array_equal(np.sort(channel), np.arange(1500))
  assert (found[:, 0] == found[:, 1]).mean() < 0.01 > (found[:, 1] == found[:, 2]).mean()


def test_the_test_split_is_as_long_as_modes_are_counted_in():
  test = table('stacked_digits', 'test')
  assert test.size == 26_000 and test.origin == 'stacked_digits test'
  image = test.fetch(np.arange(297 * 3))['image']
  # Each time round the base, other triples.
  assert len(np.unique(image.reshape(len(image), -1), axis=0)) > 880


@pytest.mark.parametrize('name, split', [('stacked_shapes', 'x'), ('stacked_moving', 'train')])
def test_mistakes(name, split):
  with pytest.raises(UserError, match=r'no split|grey images with classes'):
    table(name, split)
