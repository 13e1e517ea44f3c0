"""The units of real numbers that a reader returns, and what it says of them."""

import numpy as np
import pytest

from vaejax.data import real
from vaejax.data.settings import Settings
from vaejax.data.table import of_arrays
from vaejax.errors import UserError

X = np.random.default_rng(0).uniform(1, 9, (20, 4, 4, 5)).astype(np.float32)


@pytest.mark.parametrize(
  ('settings', 'error'),
  [
    ({'low': 5.0, 'high': 1.0}, 'data.low=5 is not below data.high=1. Swap them'),
    ({'low': 2.0, 'high': 2.0}, 'data.low=2 is not below data.high=2'),
    ({'low': 0.0, 'transform': 'log'}, 'data.low=0 has no logarithm, which data.transform=log'),
    ({'high': -1.0, 'transform': 'log'}, 'data.high=-1 has no logarithm'),
  ],
)
def test_a_range_of_pictures_that_is_none_is_one_line(settings, error):
  with pytest.raises(UserError, match=error):
    real.fit_units(X, Settings(**settings))


def test_the_range_of_pictures_is_said_as_it_is():
  def note(x, **settings):
    rows = of_arrays({'image': x}, None, 'x')
    result = real.with_units(rows, x, Settings(**settings), True)
    return result.units, result.notes

  units, notes = note(X[..., :1])
  low, high = float(X[..., :1].min()), float(X[..., :1].max())
  assert notes == (
    f'pictures show the values from {low:g} to {high:g}; set data.low and data.high for others',
  )
  np.testing.assert_allclose(units.low + units.high, (low, high))
  units, notes = note(X)
  assert notes[0].startswith('pictures show each channel in the range of its own values')
  np.testing.assert_allclose(units.low, X.min(axis=(0, 1, 2)))
  black, white = (units.picture(units.forward(X.reshape(-1, 5)[i])) for i in extremes(X))
  assert np.allclose(np.diag(black), 0, atol=1e-6) and np.allclose(np.diag(white), 1)
  assert note(X, low=0.0, high=3.0)[1] == ()


def extremes(x):
  """The indices [C] of the pixels with the smallest and the largest value of each channel."""
  flat = x.reshape(-1, x.shape[-1])
  return flat.argmin(0), flat.argmax(0)
