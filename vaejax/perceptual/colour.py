"""Colour transfer between images by statistics alone (Reinhard et al. 2001, IEEE CG&A 21(5))."""

import numpy as np

# RGB to the responses of the cones (equation 4), and their logarithms to l alpha beta (equation 6).
LMS = np.asarray([[0.3811, 0.5783, 0.0402], [0.1967, 0.7244, 0.0782], [0.0241, 0.1288, 0.8444]])
OPPONENT = np.asarray([[1, 1, 1], [1, 1, -2], [1, -1, 0]]) / np.sqrt([[3], [6], [2]])
DARKEST = 1 / 255  # a response below it has no logarithm to speak of


def to_opponent(rgb: np.ndarray) -> np.ndarray:
  """RGB [..., 3] in [0, 1] in the colour space l alpha beta of the paper."""
  return np.log10(np.maximum(rgb @ LMS.T, DARKEST)) @ OPPONENT.T


def from_opponent(colours: np.ndarray) -> np.ndarray:
  """l alpha beta [..., 3] as RGB, not clipped."""
  return 10 ** (colours @ np.linalg.inv(OPPONENT).T) @ np.linalg.inv(LMS).T


def transfer(content: np.ndarray, style: np.ndarray) -> np.ndarray:
  """Images [N, H, W, 1 or 3] in [0, 1] with the mean and the standard deviation of every colour
  axis of the style images [N, H, W, 1 or 3] (equations 10 and 11), clipped to [0, 1]. The axes are
  those of `to_opponent`; one channel is taken as it is."""
  colour = content.shape[-1] == 3
  x, y = (to_opponent(a) if colour else a for a in (content, style))
  mean, deviation = lambda a: a.mean((1, 2), keepdims=True), lambda a: a.std((1, 2), keepdims=True)
  moved = (x - mean(x)) * deviation(y) / np.maximum(deviation(x), 1e-6) + mean(y)
  return (from_opponent(moved) if colour else moved).clip(0, 1).astype(np.float32)
