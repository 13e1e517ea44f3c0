"""The linear probe against scikit-learn, and on classes whose boundary is known."""

import numpy as np
import pytest

from vaejax.metrics import linear_probe


def classes(n=300, features=6, seed=0):
  random = np.random.default_rng(seed)
  scale = np.linspace(0.1, 10, features)
  first, second = random.normal(size=(2, n, features))
  return first * scale, (second + 0.8) * scale + 3


def test_it_is_the_logistic_regression_of_scikit_learn():
  """Whose C is 1 / (rows * ridge), on standardised features."""
  linear_model = pytest.importorskip('sklearn.linear_model')
  first, second = classes()
  probe = linear_probe.fit(first, second, 0.01)
  x = (np.concatenate([first, second]) - probe.mean) / probe.deviation
  model = linear_model.LogisticRegression(C=1 / (len(x) * 0.01), tol=1e-10, max_iter=1000)
  model.fit(x, np.repeat([0, 1], 300))
  np.testing.assert_allclose(probe.weights, model.coef_[0], rtol=1e-3, atol=1e-4)
  np.testing.assert_allclose(probe.bias, model.intercept_[0], rtol=1e-3, atol=1e-4)
  np.testing.assert_allclose(probe.logits(second), model.decision_function(x[300:]), atol=1e-3)


def test_it_judges_new_rows():
  probe = linear_probe.fit(*classes(), 0.01)
  first, second = classes(seed=1)
  assert probe.judges(second).mean() > 0.85 and probe.judges(first).mean() < 0.15
  # Along the line between the two classes, the share falls from one to none.
  shares = [probe.judges(first + t * (second - first)).mean() for t in (0, 0.25, 0.75, 1)]
  assert shares == sorted(shares)


def test_a_constant_feature_and_separable_classes_are_no_trouble():
  first = np.tile([[0.0, 5.0]], (20, 1))
  second = np.tile([[1.0, 5.0]], (20, 1))
  probe = linear_probe.fit(first, second, 1e-3)
  assert np.isfinite(probe.weights).all() and probe.weights[1] == pytest.approx(0, abs=1e-9)
  assert probe.judges(second).all() and not probe.judges(first).any()
