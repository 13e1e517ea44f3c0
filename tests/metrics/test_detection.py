"""Detection metrics against scikit-learn's, and in cases with a known answer."""

import math

import numpy as np
import pytest

from vaejax.metrics.detection import MIN_ROWS, STATISTICS, counts, detection


def values(outliers, inliers):
  of_all = counts(outliers, inliers)
  return {name: statistic(of_all) for name, statistic in STATISTICS.items()}


@pytest.mark.parametrize('digits', [None, 1, 0], ids=['distinct', 'some ties', 'many ties'])
@pytest.mark.parametrize('sizes', [(1, 1), (3, 40), (60, 500), (500, 60)])
def test_they_are_those_of_scikit_learn(digits, sizes):
  metrics = pytest.importorskip('sklearn.metrics', reason='pip install .[probe]')
  random = np.random.default_rng(sum(sizes))
  outliers, inliers = random.normal(1, 1, sizes[0]), random.normal(0, 1, sizes[1])
  if digits is not None:
    outliers, inliers = outliers.round(digits), inliers.round(digits)
  truth, score = np.r_[np.ones(sizes[0]), np.zeros(sizes[1])], np.r_[outliers, inliers]
  fpr, tpr, _ = metrics.roc_curve(truth, score, drop_intermediate=False)
  found = values(outliers, inliers)
  assert found['auroc'] == pytest.approx(metrics.roc_auc_score(truth, score), abs=1e-12)
  assert found['ap'] == pytest.approx(metrics.average_precision_score(truth, score), abs=1e-12)
  assert found['fpr95'] == pytest.approx(fpr[np.argmax(tpr >= 0.95)], abs=1e-12)


def test_known_cases():
  low, high = np.arange(50.0), np.arange(100.0, 150)
  assert values(high, low) == {'auroc': 1, 'ap': 1, 'fpr95': 0}
  assert values(low, high)['auroc'] == 0 and values(low, high)['fpr95'] == 1
  same = values(np.ones(10), np.ones(30))  # a score that says nothing
  assert same == {'auroc': 0.5, 'ap': 0.25, 'fpr95': 1}
  # Of 20 outliers 19 are 95 %: the lowest one, below all inliers, does not count.
  assert values([*[2] * 19, 0], [1] * 10)['fpr95'] == 0
  assert values([*[2] * 18, 0, 0], [1] * 10)['fpr95'] == 1


def test_the_error_is_that_of_delong():
  random = np.random.default_rng(0)
  outliers, inliers = random.normal(1, 1, 150), random.normal(0, 1, 400)
  found = detection(outliers, inliers, resamples=1000)
  wins = (outliers[:, None] > inliers) + 0.5 * (outliers[:, None] == inliers)
  error = math.sqrt(np.var(wins.mean(1), ddof=1) / 150 + np.var(wins.mean(0), ddof=1) / 400)
  assert found['auroc'].value == pytest.approx(wins.mean(), abs=1e-12)
  assert found['auroc'].error == pytest.approx(error, rel=0.1)
  assert found['auroc'].interval == pytest.approx(
    (wins.mean() - 1.96 * error, wins.mean() + 1.96 * error), abs=0.01
  )
  for estimate in found.values():
    assert estimate.interval[0] < estimate.value < estimate.interval[1]
  assert found == detection(outliers, inliers, resamples=1000)


def test_intervals_end_at_one_and_few_rows_have_a_note():
  random = np.random.default_rng(0)
  found = detection(random.normal(4, 1, 20), random.normal(0, 1, MIN_ROWS))
  assert found['auroc'].interval[1] <= 1
  assert found['fpr95'].note == 'only 20 outliers' and not found['auroc'].note
  enough = detection(random.normal(1, 1, MIN_ROWS), random.normal(0, 1, MIN_ROWS))
  assert not enough['fpr95'].note
