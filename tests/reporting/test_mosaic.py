"""Mosaics of constructed banks, whose best choice is known."""

import numpy as np

from vaejax.reporting import mosaic


def test_patches_are_the_means_of_parts():
  image = np.arange(16.0).reshape(1, 4, 4, 1)
  assert mosaic.patches(image, 2).tolist() == [[2.5, 4.5, 10.5, 12.5]]
  np.testing.assert_allclose(mosaic.patches(np.full((2, 7, 5, 3), 0.3), 4), 0.3, rtol=1e-6)


def test_cells_are_those_of_the_target():
  target = np.random.default_rng(0).uniform(size=(6, 8, 3))
  cells = mosaic.cells(target, 3, 4, 2)
  np.testing.assert_array_equal(cells[1, 2].reshape(2, 2, 3), target[2:4, 4:6])


def test_a_bank_of_all_greys_shows_the_target():
  levels = np.repeat(np.linspace(0, 1, 11), mosaic.GROUPS)  # each in every group
  bank = np.tile(levels[:, None], (1, 4)).astype(np.float32)
  target = np.random.default_rng(0).integers(0, 11, (5, 6)) / 10
  choice = mosaic.choose(np.tile(target[..., None], 4), bank)
  np.testing.assert_allclose(levels[choice], target)


def test_each_cell_shows_the_nearest_sample_of_its_group():
  random = np.random.default_rng(0)
  bank, target = random.uniform(size=(22, 4)), random.uniform(size=(5, 4, 4))
  choice = mosaic.choose(target, bank)
  for i in range(5):
    for j in range(4):
      group = np.arange(2 * (i % 2) + j % 2, 22, mosaic.GROUPS)
      distance = np.square(bank[group] - target[i, j]).sum(-1)
      assert choice[i, j] == group[distance.argmin()]


def test_no_neighbours_show_the_same_sample():
  bank = np.random.default_rng(0).uniform(size=(9, 4)).astype(np.float32)
  choice = mosaic.choose(np.full((7, 8, 4), 0.5), bank)
  for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
    a = choice[: 7 - down, max(0, -right) : 8 - max(0, right)]
    b = choice[down:, max(0, right) : 8 + min(0, right)]
    assert (a != b).all()


def test_the_target_gets_the_range_of_the_bank():
  bank = np.linspace(0.1, 0.3, 101)[:, None].repeat(4, 1)
  target = np.linspace(0, 1, 101)[:, None].repeat(4, 1)
  np.testing.assert_allclose(mosaic.matched(target, bank, 1), bank)


def test_the_mean_colour_counts_more_than_details():
  # Both are as far from it, but the first has its mean and the second its details.
  target = np.array([0.5, 0.5, 0.5, 0.5])
  bank = np.array([[0.3, 0.7, 0.3, 0.7], [0.7, 0.7, 0.7, 0.7]])
  distance = lambda f: np.square(f(bank) - f(target)).sum(-1)
  assert np.ptp(distance(lambda x: x)) < 1e-9
  weighted = distance(lambda x: mosaic.emphasised(x, 1))
  assert weighted[0] < weighted[1] / 10
