"""Samples at known distances from the centres of the grid."""

import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from run_eval import example_of, with_errors

from vaejax.data.sets import gaussian_grid
from vaejax.errors import UserError
from vaejax.evals import gaussians
from vaejax.types import Method

CONFIG = ConfigDict(
  {
    'method': 'toy',
    'data': {'name': 'gaussian_grid'},
    'eval': {'gaussians': {'deviations': 3.0, 'samples': 100}},
  }
)
TOY = Method(None, (), lambda: 0, None, {})


def values(points):
  e = gaussians.make(TOY, CONFIG, example_of((1, 1, 2))._replace(units=Raw()))
  return with_errors(
    e,
    samples={
      'image': jnp.asarray(points, jnp.float32).reshape(-1, 1, 1, 2),
      'mask': jnp.ones(len(points)),
    },
  )


class Raw:
  """Units in which a method sees the numbers as they are."""

  def inverse(self, y):
    return y


def test_a_sample_within_three_deviations_is_good_and_covers_its_gaussian():
  near, far = 2.9 * 0.05, 3.1 * 0.05
  got = values([(-4, -4 + near), (-4, -4), (2 + far, 0), (1, 1), (4 - near, 4), (2, -2)])
  assert got['good_samples'].value == pytest.approx(4 / 6)
  assert got['good_samples'].error == pytest.approx(np.sqrt(4 / 6 * 2 / 6 / 5))
  assert got['modes_covered'].value == 3
  want = 0.5 * np.log(0.5 * 25) + 2 * 0.25 * np.log(0.25 * 25)
  assert got['mode_kl'].value == pytest.approx(want)


def test_the_data_cover_all_modes_and_are_good():
  rows = gaussian_grid.table('test').load()
  got = values(rows['image'])
  # Of a Gaussian in the plane, exp(-9 / 2) lie further away than three deviations.
  good = got['good_samples']
  assert abs(good.value - (1 - np.exp(-4.5))) < 4 * good.error
  assert got['modes_covered'].value == 25 and got['mode_kl'].value < 3 * 24 / (2 * 2500)


def test_other_data_are_refused():
  other = ConfigDict({'method': 'toy', 'data': {'name': 'mnist'}, 'eval': {}})
  with pytest.raises(UserError, match=r'mixture of Gaussians.* but this is toy on mnist'):
    gaussians.make(TOY, other, example_of((2, 2, 3)))
