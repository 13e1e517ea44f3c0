"""Scores of how well factors are predicted from codes: DCI, SAP and explicitness."""

from typing import NamedTuple

import numpy as np
from scipy.stats import rankdata

from vaejax.metrics.disentanglement.information import entropy

REGRESSORS = ('extra_trees', 'boosting', 'lasso')
MAX_DEPTH = 8  # of extra_trees
LEAVES = 250  # at most, as rows of a leaf are at least 1 / LEAVES of all
THRESHOLDS = 100  # intervals of each latent in `sap`


class Dci(NamedTuple):
  """Disentanglement, completeness and informativeness (Eastwood & Williams 2018), 0 to 1 each."""

  disentanglement: float
  completeness: float
  informativeness: float


def importances(regressor: str, train, test, trees: int, seed: int) -> tuple[np.ndarray, float]:
  """How important each latent is to predict each factor, [L, F], and the mean accuracy on `test`.

  Args:
    regressor: 'extra_trees', scikit-learn's extremely randomised trees of depth MAX_DEPTH;
      'boosting', its gradient boosted trees, as in disentanglement_lib, which take minutes rather
      than tenths of a second; 'lasso', an L1-regularised logistic regression on standardised codes,
      whose importances are the means of |weights| over classes.
    train, test: (codes [N, L], factors [N, F]).
    trees: of extra_trees, or of each class of boosting.
  """
  from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier
  from sklearn.linear_model import LogisticRegression

  weights, accuracies = [], []
  codes, shift = train[0], train[0].mean(axis=0)
  scale = np.where(codes.std(axis=0) > 0, codes.std(axis=0), 1.0)
  for of_train, of_test in zip(train[1].T, test[1].T, strict=True):
    if (of_train == of_train[0]).all():  # nothing to learn; some regressors refuse it
      weights.append(np.zeros(codes.shape[1]))
      accuracies.append(np.mean(of_test == of_train[0]))
      continue
    if regressor == 'extra_trees':
      leaf = max(1, len(codes) // LEAVES)
      model = ExtraTreesClassifier(
        trees, max_depth=MAX_DEPTH, min_samples_leaf=leaf, max_features=None, random_state=seed
      )
    elif regressor == 'boosting':
      model = GradientBoostingClassifier(n_estimators=trees, random_state=seed)
    else:
      model = LogisticRegression(l1_ratio=1.0, solver='saga', max_iter=500, tol=1e-2)
    model.fit((codes - shift) / scale, of_train)
    if regressor == 'lasso':
      weights.append(np.abs(model.coef_).mean(axis=0))
    else:
      weights.append(model.feature_importances_)
    accuracies.append(model.score((test[0] - shift) / scale, of_test))
  return np.stack(weights, axis=1), float(np.mean(accuracies))


def describe(regressor: str, trees: int) -> str:
  """The regressor of `importances`, for a protocol."""
  if regressor == 'lasso':
    return 'logistic regression with L1, C = 1'
  kind = f'depth {MAX_DEPTH}' if regressor == 'extra_trees' else 'depth 3, for each class'
  return f'{regressor}, {trees} trees of {kind} (scikit-learn)'


def dci(importance: np.ndarray, informativeness: float) -> Dci:
  """DCI from importances [L, F].

  Disentanglement is 1 - H(a latent's importances over factors) / log F, averaged over latents by
  their share of all importance. Completeness is 1 - H(a factor's importances over latents) / log L,
  averaged over factors by theirs. With one factor, disentanglement is 1. With one latent,
  completeness is 1.
  """
  importance = np.asarray(importance, np.float64)
  total = max(importance.sum(), 1e-300)
  return Dci(
    float(_concentration(importance) @ importance.sum(axis=1) / total),
    float(_concentration(importance.T) @ importance.sum(axis=0) / total),
    informativeness,
  )


def _concentration(rows: np.ndarray) -> np.ndarray:
  """1 - entropy / log(columns) of the proportions of each row; 0 for a row of zeros."""
  largest = np.log(rows.shape[1]) if rows.shape[1] > 1 else 1.0
  return np.where(rows.sum(axis=1) > 0, 1 - entropy(rows) / largest, 0.0)


def sap(train, test) -> float:
  """Separated attribute predictability: the mean over factors of the gap between the two latents
  that predict it best (Kumar et al. 2018, arXiv:1711.00848, section 3). For a single latent it is
  the gap to chance.

  A latent predicts by thresholds that maximise the balanced accuracy on `train`, here between
  THRESHOLDS quantiles; the accuracy is that on `test`. All factors are taken as categorical.
  """
  by_factor = zip(train[1].T, test[1].T, strict=True)
  scores = np.stack([_by_thresholds(train[0], v, test[0], w) for v, w in by_factor])
  chance = 1 / (train[1].max(axis=0) + 1)
  ordered = np.sort(np.column_stack([scores, chance] if scores.shape[1] < 2 else [scores]), axis=1)
  return float(np.mean(ordered[:, -1] - ordered[:, -2]))


def _by_thresholds(z, v, test_z, test_v) -> np.ndarray:
  """The balanced accuracy [L] on test rows of the best class of each interval of each latent."""
  values = int(max(v.max(), test_v.max())) + 1
  present = np.bincount(test_v, minlength=values)
  scores = []
  for x, test_x in zip(z.T, test_z.T, strict=True):
    edges = np.unique(np.quantile(x, np.linspace(0, 1, THRESHOLDS + 1)[1:-1]))
    cells = np.searchsorted(edges, x, side='right') * values + v
    counts = np.bincount(cells, minlength=(len(edges) + 1) * values).reshape(-1, values)
    best = (counts / np.maximum(counts.sum(axis=0), 1)).argmax(axis=1)
    correct = best[np.searchsorted(edges, test_x, side='right')] == test_v
    right = np.bincount(test_v, correct, minlength=values)
    scores.append(np.mean(right[present > 0] / present[present > 0]))
  return np.array(scores)


def explicitness(train, test) -> float:
  """The mean area under the ROC curve, on `test`, of a logistic regression from the whole code to
  each value of each factor against all others; 0.5 is chance (Ridgeway & Mozer 2018,
  arXiv:1802.05312, section 3). Averaged over the values of a factor, then over factors that have
  two values or more on `test`.
  """
  areas = []
  for v, test_v in zip(train[1].T, test[1].T, strict=True):
    values = np.intersect1d(v, test_v)
    if len(values) and (test_v != test_v[0]).any():
      scores = test[0] @ _logistic(train[0], v[:, None] == values)
      areas.append(np.nanmean(roc_areas(scores, test_v[:, None] == values)))
  return float(np.mean(areas))


def roc_areas(scores: np.ndarray, positive: np.ndarray) -> np.ndarray:
  """The area under the ROC curve of every column of scores [N, K]: the probability that a positive
  row has a higher score than a negative one, where ties count half. NaN with one kind of rows."""
  ranks = rankdata(scores, axis=0)
  count = positive.sum(axis=0)
  wins = (ranks * positive).sum(axis=0) - count * (count + 1) / 2
  with np.errstate(invalid='ignore', divide='ignore'):
    return wins / (count * (len(scores) - count))


def _logistic(x: np.ndarray, y: np.ndarray, steps=8, ridge=1e-3) -> np.ndarray:
  """The weights [L, K] of K logistic regressions with intercepts, from x [N, L] to y [N, K], by
  Newton's method with a small L2 penalty on standardised x."""
  scale = np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
  design = np.column_stack([(x - x.mean(axis=0)) / scale, np.ones(len(x))])
  start = np.log(y.mean(axis=0) / (1 - np.minimum(y.mean(axis=0), 1 - 1e-9)))
  weights = np.vstack([np.zeros((x.shape[1], y.shape[1])), start]).T
  penalty = ridge * len(x) * np.diag([1.0] * x.shape[1] + [1e-6])
  products = (design[:, :, None] * design[:, None]).reshape(len(x), -1)
  for _ in range(steps):
    p = 1 / (1 + np.exp(-np.clip(design @ weights.T, -30, 30)))
    gradient = (p - y).T @ design + weights @ penalty
    hessian = ((p * (1 - p)).T @ products).reshape(-1, *penalty.shape) + penalty
    weights = weights - np.linalg.solve(hessian, gradient[..., None])[..., 0]
  return weights[:, :-1].T / scale[:, None]
