"""Ranks and recall on constructed features."""

import numpy as np

from vaejax.metrics import retrieval


def test_distances_are_those_of_numpy():
  random = np.random.default_rng(0)
  x, y = random.normal(size=(4, 5)), random.normal(size=(7, 5))
  expected = np.square(x[:, None] - y[None]).sum(-1)
  np.testing.assert_allclose(retrieval.squared_distances(x, y), expected, rtol=1e-5)


def test_ranks_of_shifted_points():
  """Query i lies at i + 0.9 on a line whose entries lie at 0, 1, 2, ...: i + 1 is nearest and i is
  second, except for the last query, which has no i + 1."""
  gallery = np.arange(6.0)[:, None]
  distances = retrieval.squared_distances(gallery + 0.9, gallery)
  np.testing.assert_array_equal(retrieval.ranks(distances), [2, 2, 2, 2, 2, 1])
  assert retrieval.recall(distances, 1).mean() == 1 / 6
  assert retrieval.recall(distances, 2).mean() == 1
  np.testing.assert_array_equal(retrieval.ranks(distances[:5], np.arange(1, 6)), 1)


def test_equal_distances_have_the_middle_rank():
  """A constant output is as near to all entries and must not count as retrieved."""
  assert list(retrieval.ranks(np.zeros((5, 5)))) == [3.0] * 5
  assert retrieval.recall(np.zeros((5, 5)), 1).sum() == 0
