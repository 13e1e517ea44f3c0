"""Statistics over seeds against closed forms and SciPy."""

import numpy as np
import pytest
from scipy import stats

from vaejax.estimates import Estimate
from vaejax.metrics import seeds


def test_the_mean_and_its_interval_are_those_of_scipy():
  values = [90.1, 90.4, 89.7, 90.9, 90.2]
  mean = seeds.mean(values)
  assert mean.value == pytest.approx(np.mean(values))
  assert mean.error == pytest.approx(stats.sem(values))
  interval = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
  assert mean.interval == pytest.approx(interval)
  assert seeds.mean([3.0]) == Estimate(3.0)


def test_the_sign_test_is_the_binomial_test():
  for differences in ([1, 2, 3, 4, 5], [1, -2, 3, 4, 5, 0], [-1, 1], [-1] * 8, [2]):
    positive, n = sum(d > 0 for d in differences), sum(d != 0 for d in differences)
    expected = stats.binomtest(positive, n).pvalue
    assert seeds.sign_test(differences) == pytest.approx(expected)
  assert seeds.sign_test([0.0, 0.0]) == 1 and seeds.sign_test([1] * 5) == 2 / 32
