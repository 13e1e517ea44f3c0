"""Paired comparisons against constructed results, and against SciPy."""

import numpy as np
import pytest
from scipy import stats

from vaejax.sweeps import paired, summary

VALUES = [{'seed': str(s), 'hyper.beta': b} for b in ('1', '4') for s in range(5)]
ELBOS = [-90.0, -95.0, -100.0, -105.0, -99.0, -91.0, -97.0, -101.5, -104.0, -200.0]


def compared(frozen=(9,), values=VALUES, elbos=ELBOS):
  results = {
    k: {'frozen': k in frozen, 'values': {'elbo': v, 'kl': None}} for k, v in enumerate(elbos)
  }
  settings = summary.group_settings(values, results, ['elbo', 'kl'])
  return paired.compare(settings, values, results, ['elbo', 'kl'])


def test_a_difference_is_over_the_seeds_that_both_have():
  (one,) = compared()  # seed 4 is frozen in one of the settings; kl is never finite
  differences = np.subtract(ELBOS[5:9], ELBOS[:4])
  assert differences.tolist() == [-1.0, -2.0, -1.5, 1.0]
  assert one[:4] == ('beta=4', 'beta=1', 'elbo', 4)
  assert one.difference.value == pytest.approx(differences.mean())
  assert one.difference.error == pytest.approx(stats.sem(differences))
  # The t interval of the differences is the one of SciPy's paired test.
  test = stats.ttest_rel(ELBOS[5:9], ELBOS[:4]).confidence_interval()
  assert one.difference.interval == pytest.approx(tuple(test))
  assert one.sign_test == pytest.approx(stats.binomtest(3, 4).pvalue)
  # The pairs matter: seeds differ far more than the settings do.
  unpaired = np.hypot(stats.sem(ELBOS[5:9]), stats.sem(ELBOS[:4]))
  assert one.difference.error < unpaired / 5


def test_seeds_are_matched_by_their_number():
  values = VALUES[:5] + [VALUES[5 + k] for k in (3, 2, 1, 0, 4)]
  elbos = ELBOS[:5] + [ELBOS[5 + k] for k in (3, 2, 1, 0, 4)]
  assert compared(values=values, elbos=elbos) == compared()


def test_fewer_than_two_common_seeds_are_not_compared():
  assert not compared(frozen=(1, 2, 3, 4))
  assert not compared(values=[{'hyper.beta': str(k)} for k in range(10)])


def test_all_pairs_of_a_few_settings_and_those_with_the_first_of_many():
  for count, expected in ((4, 6), (12, 11)):
    values = [{'seed': str(s), 'hyper.beta': str(b)} for b in range(count) for s in range(2)]
    results = {k: {'frozen': False, 'values': {'elbo': float(k % 7)}} for k in range(len(values))}
    settings = summary.group_settings(values, results, ['elbo'])
    assert len(paired.compare(settings, values, results, ['elbo'])) == expected
