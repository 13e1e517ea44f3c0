"""Errors and intervals against SciPy and closed forms."""

import numpy as np
import pytest
from scipy import stats

from vaejax.estimates import Estimate, bootstrap, in_words, mean, mean_of_draws, means, proportion


def test_a_mean_has_the_standard_error_of_scipy():
  x = np.random.default_rng(0).normal(size=50)
  assert mean(x) == Estimate(pytest.approx(x.mean()), pytest.approx(stats.sem(x)))
  assert mean([2.0]) == Estimate(2.0, None) and means({'a': [1.0, 3.0]}) == {
    'a': Estimate(2.0, 1.0)
  }
  assert np.isnan(mean([1.0, np.nan]).error)


def test_a_proportion_is_the_mean_of_zeros_and_ones():
  assert proportion(3, 8) == Estimate(*map(pytest.approx, mean([1] * 3 + [0] * 5)[:2]), n=8)
  assert proportion(1, 1) == Estimate(1.0, None, n=1)


def test_the_error_of_draws_adds_variances():
  estimate = mean_of_draws([1.0, 2.0, 6.0], [0.5, 1.0, 2.5])
  assert estimate.draws_error == pytest.approx(np.sqrt(4.0) / 3)
  assert estimate.value == 3


def test_intervals_of_a_bootstrap_cover_the_truth_as_often_as_they_claim():
  random, covered, errors = np.random.default_rng(0), 0, []
  for _ in range(400):
    a, b = random.normal(1, 2, 60), random.normal(0, 1, 40)
    found = bootstrap(lambda i, j, a=a, b=b: a[i].mean() - b[j].mean(), 60, 40)
    assert found.value == pytest.approx(a.mean() - b.mean())
    covered += found.interval[0] < 1 < found.interval[1]
    errors.append(found.error)
  assert covered / 400 == pytest.approx(0.94, abs=0.035)
  assert np.mean(errors) == pytest.approx(np.sqrt(4 / 60 + 1 / 40), rel=0.05)


def test_the_interval_of_a_distance_is_around_the_distance():
  """The distance between resampled sets is larger than that between the sets."""
  random = np.random.default_rng(0)
  a, b = random.normal(size=(2, 50, 30))
  distance = lambda i, j: np.square(a[i].mean(0) - b[j].mean(0)).sum()
  found = bootstrap(distance, 50, 50)
  assert found.interval[0] < found.value < found.interval[1]


def test_the_same_seed_gives_the_same_interval():
  x = np.random.default_rng(0).normal(size=30)
  statistic = lambda i: np.median(x[i])
  assert bootstrap(statistic, 30) == bootstrap(statistic, 30)


def test_an_interval_is_cut_at_the_bounds_of_its_statistic():
  x = np.array([0.0] * 9 + [1.0])
  least = lambda i: x[i].mean()
  assert bootstrap(least, 10).interval[0] < 0 == bootstrap(least, 10, bounds=(0, 1)).interval[0]
  assert bootstrap(least, 10, bounds=(0, 0.2)).interval == (0, 0.2)


def test_scaling_and_words():
  estimate = Estimate(2.0, 0.5, (1.0, 4.0), 0.25, 'few draws', 9)
  assert estimate.scaled(-2) == Estimate(-4.0, 1.0, (-8.0, -2.0), 0.5, 'few draws', 9)
  assert in_words(estimate) == '2.0000 ± 0.5000 [1.0000, 4.0000] (few draws)'
  assert in_words(Estimate(2.0)) == '2.0000' and in_words(Estimate(-1e-9)) == '0.0000'
  assert Estimate(2.0).to_json() == {'value': 2.0, 'error': None}
  assert estimate.to_json()['interval'] == (1.0, 4.0)
