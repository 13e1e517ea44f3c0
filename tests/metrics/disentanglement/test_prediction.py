"""DCI, SAP and explicitness, on codes whose scores are known and against scikit-learn."""

import math

import numpy as np
import pytest

from vaejax.metrics.disentanglement.prediction import (
  REGRESSORS,
  dci,
  explicitness,
  importances,
  roc_areas,
  sap,
)

COUNTS = 4, 5, 3


def rows(code=lambda factors, random: factors, n=1200, seed=0):
  """Codes and factors to train on, and to test on."""
  random = np.random.default_rng(seed)
  factors = np.stack([random.integers(k, size=n) for k in COUNTS], axis=1)
  codes = np.float64(code(factors, random))
  return (codes[: n // 2], factors[: n // 2]), (codes[n // 2 :], factors[n // 2 :])


def duplicated(factors, random):
  return np.concatenate([factors, factors], axis=1)


def noise(factors, random):
  return random.normal(size=(len(factors), 3))


def rotated(factors, random):
  return (factors - factors.mean(0)) @ np.linalg.qr(random.normal(size=(3, 3)))[0]


def test_dci_by_hand():
  """Equations of the paper: entropies of rows in base F, of columns in base L."""
  of_h = lambda *p: -sum(x * math.log(x) for x in p if x)
  importance = np.array([[0.9, 0.0], [0.1, 0.5], [0.0, 0.5]])
  shares = 0.9, 0.6, 0.5
  scores = 1.0, 1 - of_h(1 / 6, 5 / 6) / math.log(2), 1.0
  value = dci(importance, 0.7)
  assert value.disentanglement == pytest.approx(np.average(scores, weights=shares))
  columns = 1 - of_h(0.9, 0.1) / math.log(3), 1 - math.log(2) / math.log(3)
  assert value.completeness == pytest.approx(np.mean(columns))
  assert value.informativeness == 0.7
  assert dci(np.eye(3), 1.0) == (1, 1, 1)
  assert dci(np.ones((3, 3)), 1.0)[:2] == pytest.approx((0, 0))
  assert dci(np.zeros((3, 3)), 0.0)[:2] == (0, 0)
  # A latent that is important for nothing has no share.
  assert dci(np.vstack([np.eye(2), np.zeros((1, 2))]), 1.0).disentanglement == 1


@pytest.mark.parametrize('regressor', REGRESSORS)
def test_dci_of_a_perfect_code(regressor):
  pytest.importorskip('sklearn')
  trees = 5 if regressor == 'boosting' else 20
  value = dci(*importances(regressor, *rows(), trees, 0))
  if regressor == 'lasso':  # a linear model does not separate the middle ones of five values
    assert value.disentanglement > 0.9 and value.completeness > 0.9
  else:
    assert min(value) > 0.97


@pytest.mark.parametrize(
  'code, disentangled, complete',
  [(duplicated, (0.95, 1), (0.5, 0.8)), (rotated, (0, 0.6), (0, 0.6)), (noise, (0, 0.3), (0, 0.3))],
)
def test_dci_of_other_codes(code, disentangled, complete):
  """Two equal latents share a factor: completeness is 1 - log 2 / log 6 = 0.61 at the least."""
  pytest.importorskip('sklearn')
  value = dci(*importances('extra_trees', *rows(code), 20, 0))
  assert disentangled[0] <= value.disentanglement <= disentangled[1]
  assert complete[0] <= value.completeness <= complete[1]


def test_sap():
  """A perfect code predicts each factor by one latent, and others by chance."""
  assert sap(*rows(n=6000)) == pytest.approx(np.mean([1 - 1 / k for k in COUNTS]), abs=0.05)
  assert sap(*rows(duplicated)) == 0
  assert sap(*rows(noise, n=6000)) < 0.05
  assert sap(*rows(rotated)) < 0.4
  assert sap(*rows(lambda factors, random: np.ones((len(factors), 3)))) == 0


def test_sap_by_hand():
  """One latent is the factor, the other is right for both values in 3 of 4 rows: 1 - 0.75."""
  v = np.array([0, 0, 0, 0, 1, 1, 1, 1])
  code = np.stack([v, [0, 0, 0, 1, 0, 1, 1, 1]], axis=1).astype(float)
  assert sap((code, v[:, None]), (code, v[:, None])) == pytest.approx(0.25)
  assert sap((code[:, :1], v[:, None]), (code[:, :1], v[:, None])) == pytest.approx(0.5)
  # Balanced: where 3 of 9 rows of one value meet 2 of 2 of the other, the other wins.
  v = np.repeat([0, 1], [9, 2])
  code = np.repeat([0.0, 1.0], [6, 5])[:, None]
  want = (6 / 9 + 1) / 2 - 0.5
  assert sap((code, v[:, None]), (code, v[:, None])) == pytest.approx(want)


def test_explicitness():
  """A value at an end of its factor is above a threshold; one in the middle is not."""
  one_hot = lambda factors, random: np.concatenate(
    [np.eye(k)[v] for k, v in zip(COUNTS, factors.T, strict=True)], axis=1
  )
  assert explicitness(*rows(one_hot)) == pytest.approx(1)
  assert explicitness(*rows(noise, n=6000)) == pytest.approx(0.5, abs=0.03)
  turned = explicitness(*rows(rotated)), explicitness(*rows())
  assert 0.7 < turned[0] < 1 and turned[0] == pytest.approx(turned[1], abs=0.02)


def test_explicitness_is_scikit_learns():
  linear = pytest.importorskip('sklearn.linear_model')
  metrics = pytest.importorskip('sklearn.metrics')
  train, test = rows(
    lambda factors, random: rotated(factors, random) + 0.5 * noise(factors, random)
  )
  areas = []
  for f, count in enumerate(COUNTS):
    of_values = []
    for k in range(count):
      model = linear.LogisticRegression(C=1.0).fit(train[0], train[1][:, f] == k)
      score = model.decision_function(test[0])
      of_values.append(metrics.roc_auc_score(test[1][:, f] == k, score))
    areas.append(np.mean(of_values))
  assert explicitness(train, test) == pytest.approx(np.mean(areas), abs=2e-3)


@pytest.mark.parametrize('regressor', REGRESSORS)
def test_a_factor_with_one_value_in_a_half(regressor):
  pytest.importorskip('sklearn')
  train, test = rows(n=60)
  train[1][:, 0] = 2
  weights, accuracy = importances(regressor, train, test, 5, 0)
  assert (weights[:, 0] == 0).all() and 0 < accuracy < 1
  without = explicitness((train[0], train[1][:, 1:]), (test[0], test[1][:, 1:]))
  test[1][:, 0] = 2
  assert explicitness(train, test) == pytest.approx(without)


def test_areas_with_ties():
  scores, positive = np.array([[1.0, 0], [2, 0], [2, 0], [3, 0]]), np.array([[0], [1], [0], [1]])
  np.testing.assert_allclose(roc_areas(scores, positive == 1), [3.5 / 4, 0.5])
  assert np.isnan(roc_areas(scores, np.ones((4, 2), bool))).all()
