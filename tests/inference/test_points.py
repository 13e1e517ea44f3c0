"""Grids and rows of latents, at places that are known."""

import numpy as np
from scipy import stats

from vaejax.inference.points import TAIL, bilinear, plane, snake


def test_a_plane_has_the_quantiles_of_the_prior():
  mean, deviation = np.array([1.0, -2.0, 0.5]), np.array([2.0, 0.5, 3.0])
  grid = plane(mean, deviation, (2, 0), 5).reshape(5, 5, 3)
  shares = np.linspace(TAIL, 1 - TAIL, 5)
  across = stats.norm(0.5, 3).ppf(shares)
  np.testing.assert_allclose(grid[..., 2], np.tile(across, (5, 1)), rtol=1e-5)
  down = stats.norm(1, 2).ppf(shares)
  np.testing.assert_allclose(grid[..., 0], np.tile(down[:, None], 5), rtol=1e-5)
  np.testing.assert_allclose(grid[..., 1], -2)


def test_between_corners_the_grid_is_bilinear():
  corners = np.array([[0.0, 0], [2, 0], [0, 4], [2, 4]])
  grid = bilinear(corners, 3).reshape(3, 3, 2)
  np.testing.assert_allclose(grid[..., 0], np.tile([0, 1, 2], (3, 1)))
  np.testing.assert_allclose(grid[..., 1], np.tile([[0], [2], [4]], (1, 3)))


def test_a_snake_has_neighbours_in_neighbouring_tiles():
  rows = snake(np.arange(12)[:, None], 4).reshape(3, 4)
  places = {value: (i, j) for i, row in enumerate(rows) for j, value in enumerate(row)}
  for k in range(11):
    (i, j), (a, b) = places[k], places[k + 1]
    assert abs(i - a) + abs(j - b) == 1
