"""A linear probe: ridge-regularised logistic regression of two classes, by Newton's method."""

from typing import NamedTuple

import numpy as np

ITERATIONS, TOLERANCE = 50, 1e-7  # the tolerance is of the loss


class Probe(NamedTuple):
  """A fitted probe.

  Attributes:
    mean, deviation: of the features that it was fitted to, [F].
    weights: of standardised features, [F].
    bias: of the logit.
  """

  mean: np.ndarray
  deviation: np.ndarray
  weights: np.ndarray
  bias: float

  def logits(self, features: np.ndarray) -> np.ndarray:
    """log p(second class) / p(first class) of features [N, F], [N]."""
    return (
      np.asarray(features, np.float64) - self.mean
    ) / self.deviation @ self.weights + self.bias

  def judges(self, features: np.ndarray) -> np.ndarray:
    """Whether features [N, F] are more probably of the second class, 1.0 or 0.0, [N]."""
    return (self.logits(features) > 0).astype(np.float64)


def fit(first: np.ndarray, second: np.ndarray, ridge: float) -> Probe:
  """The probe between rows [N, F] of a first and [M, F] of a second class. It minimises the mean
  log loss plus ridge / 2 |weights|², where features have mean 0 and variance 1 and the bias is
  free."""
  x = np.concatenate([first, second]).astype(np.float64)
  y = np.repeat([0.0, 1.0], [len(first), len(second)])
  mean, deviation = x.mean(0), x.std(0)
  deviation = np.where(deviation > 0, deviation, 1)
  x = np.concatenate([(x - mean) / deviation, np.ones((len(x), 1))], axis=1)
  penalty = np.full(x.shape[1], ridge)
  penalty[-1] = 0
  w = np.zeros(x.shape[1])

  def loss(w):
    z = x @ w
    return np.mean(np.logaddexp(0, z) - y * z) + 0.5 * np.sum(penalty * w * w)

  value = loss(w)
  for _ in range(ITERATIONS):
    p = 0.5 * (1 + np.tanh(0.5 * (x @ w)))  # the sigmoid, which cannot overflow
    gradient = x.T @ (p - y) / len(x) + penalty * w
    curvature = (x * (p * (1 - p))[:, None]).T @ x / len(x) + np.diag(penalty + 1e-12)
    step = np.linalg.solve(curvature, gradient)
    scale = 1.0
    while scale > 1e-6 and loss(w - scale * step) > value:
      scale /= 2
    w, before = w - scale * step, value
    value = loss(w)
    if before - value < TOLERANCE:
      break
  return Probe(mean, deviation, w[:-1], float(w[-1]))
