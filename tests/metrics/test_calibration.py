"""Calibration of constructed predictions whose error is known."""

import numpy as np
import pytest

from vaejax.metrics.calibration import (
  difference,
  expected_calibration_error,
  gap,
  reliability,
)


def test_a_calibrated_classifier_has_no_error():
  confidence = np.repeat([0.25, 0.5, 0.75], [4, 2, 4])
  correct = [1, 0, 0, 0, 1, 0, 1, 1, 1, 0]
  assert gap(confidence, correct, 10) == pytest.approx(0)


def test_the_error_is_the_weighted_mean_of_the_gaps():
  # 3 predictions of .9 of which 1 is right (gap .5667), 1 of .3 that is right (gap .7).
  diagram = reliability([0.9, 0.9, 0.9, 0.3], [1, 0, 0, 1], 5)
  assert diagram.count.tolist() == [0, 1, 0, 0, 3]
  np.testing.assert_allclose(diagram.accuracy, [0, 1, 0, 0, 1 / 3])
  np.testing.assert_allclose(diagram.confidence, [0, 0.3, 0, 0, 0.9])
  expected = (3 * (0.9 - 1 / 3) + 0.7) / 4
  estimate = expected_calibration_error([0.9, 0.9, 0.9, 0.3], [1, 0, 0, 1], 5)
  assert estimate.value == pytest.approx(expected) and estimate.n == 4


def test_gaps_of_opposite_sign_in_one_bin_cancel_and_in_two_bins_do_not():
  confidence, correct = [0.6, 0.9], [1, 0]  # gaps of .4 and -.9
  assert gap(confidence, correct, 1) == pytest.approx(abs(0.75 - 0.5))
  assert gap(confidence, correct, 10) == pytest.approx((0.4 + 0.9) / 2)


def test_bins_hold_their_upper_end():
  assert reliability([0.0, 0.2, 0.4, 1.0], [0, 0, 0, 0], 5).count.tolist() == [2, 1, 0, 0, 1]


def test_the_interval_covers_the_error_of_an_overconfident_classifier():
  random = np.random.default_rng(0)
  estimate = expected_calibration_error(np.full(4000, 0.95), random.uniform(size=4000) < 0.8)
  low, high = estimate.interval
  assert low < 0.15 < high and estimate.error == pytest.approx((0.8 * 0.2 / 4000) ** 0.5, rel=0.2)


def test_the_error_of_a_difference_is_of_the_same_examples():
  random = np.random.default_rng(0)
  correct = random.uniform(size=1000) < 0.8
  one, other = (np.full(1000, 0.95), correct), (np.full(1000, 0.9), correct)
  # Both are overconfident on the same examples, so accuracy cancels: .95 - .9 of every resample.
  assert difference(one, other, 1).value == pytest.approx(0.05)
  assert difference(one, other, 1).error == pytest.approx(0, abs=1e-9)
  apart = (expected_calibration_error(*x, 1).error for x in (one, other))
  assert np.hypot(*apart) > 0.01
