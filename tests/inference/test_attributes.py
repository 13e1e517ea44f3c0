"""Directions of attributes: closed forms, pairs that are true pairs, groups that are held out."""

import numpy as np
import pytest

from vaejax.inference import attributes


def points(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_the_difference_of_means_is_the_same_for_all():
  before, after, z = points(7, 3), points(4, 3, seed=1) + 5, points(2, 3, seed=2)
  change = attributes.of_means(before, after)(z)
  assert np.allclose(change, after.mean(0) - before.mean(0), atol=1e-5) and change.shape == (2, 3)


def test_pairs_ignore_what_else_differs_between_the_sets():
  # Of the rows without the attribute most have another factor at 1, of those with it few.
  attribute, other = np.array([1, 0], np.float32), np.array([0, 10], np.float32)
  before, after = np.array([other, other, 0 * other]), np.array([0 * other + attribute] * 2)
  assert np.allclose(attributes.of_means(before, after).offset, attribute - 2 / 3 * other)
  paired = attributes.of_pairs(before, before + attribute)
  assert np.allclose(paired.offset, attribute)


def test_a_regression_finds_a_linear_change_and_a_constant_one():
  z, weights = points(200, 4), points(4, 4, seed=1)
  groups = np.arange(200) // 2
  shift = attributes.regressed(z, z + 2 + z @ weights, groups)
  new = points(5, 4, seed=2)
  assert shift.penalty == attributes.PENALTIES[0]  # there is no noise
  assert np.allclose(shift(new), 2 + new @ weights, atol=0.02)
  # If the change is noise around a constant, the weights are shrunk.
  noisy = attributes.regressed(z, z + 2 + 5 * points(200, 4, seed=3), groups)
  assert noisy.penalty >= 10 and np.abs(noisy.weights).max() < 0.1


def test_the_penalty_is_chosen_on_groups_that_are_held_out():
  # Both rows of a group are the same picture, and the change is noise of each group. By single
  # rows, of which a twin is left, it would be predicted with little penalty.
  z, noise = points(30, 30), points(30, 30, seed=1)
  z, noise, groups = (np.repeat(x, 2, axis=0) for x in (z, noise, np.arange(30)))
  by_group = attributes.regressed(z, z + noise, groups)
  by_row = attributes.regressed(z, z + noise, np.arange(60))
  assert by_group.penalty > 10 * by_row.penalty


def test_ridge_is_the_closed_form():
  x, y = points(20, 3).astype(float), points(20, 2, seed=1).astype(float)
  solve, offset, mean = attributes.ridge(x, y)
  a, b = x - x.mean(0), y - y.mean(0)
  expected = np.linalg.solve(a.T @ a + 0.7 * np.eye(3), a.T @ b)
  assert np.allclose(solve(0.7), expected) and np.allclose(offset, y.mean(0))
  assert np.allclose(mean, x.mean(0))


def test_latents_of_several_arrays_are_one_vector():
  a, b = (points(6, 3), points(6, 2, 2)), (points(6, 3) + 1, points(6, 2, 2) + 2)
  change = attributes.of_means(a, b)(a)
  assert np.allclose(change[0], 1, atol=1e-5) and np.allclose(change[1], 2, atol=1e-5)
  assert change[1].shape == (6, 2, 2)


@pytest.mark.parametrize('keys', [['a', 'b', 'a', 'c', 'd', 'b'], None])
def test_partners_differ_in_the_value_alone(keys):
  values = np.array([0, 0, 1, 1, 2, 1])
  pairs = attributes.partners(keys, values, 0, 1)
  assert pairs.tolist() == ([[0, 2], [1, 5]] if keys else [])


def test_keys_that_do_not_tell_rows_apart_make_no_pairs():
  assert not len(attributes.partners(['a', 'a', 'a'], np.array([0, 0, 1]), 0, 1))
  assert not len(attributes.partners(['a', 'a', 'a'], np.array([0, 1, 1]), 0, 1))
  # Rows of a third value do not matter.
  assert len(attributes.partners(['a', 'a', 'b', 'b'], np.array([0, 1, 2, 2]), 0, 1)) == 1
