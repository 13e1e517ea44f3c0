"""Histograms and curves of tones against NumPy, and against each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.nets import tones

LOW, HIGH, COUNT = -1.0, 2.0, 7
X = np.random.default_rng(0).uniform(LOW - 0.5, HIGH + 0.5, size=(2, 5, 4, 3)).astype(np.float32)
VALUES = np.random.default_rng(1).normal(size=(2, 3, COUNT)).astype(np.float32)
KNOTS = np.linspace(LOW, HIGH, COUNT)


def curve(x, values=VALUES):
  return tones.curve(jnp.asarray(x), jnp.asarray(values), LOW, HIGH)


def test_a_curve_is_linear_between_its_knots_and_flat_beyond_them():
  found = curve(X)
  for i, c in np.ndindex(2, 3):
    assert np.allclose(found[i, :, :, c], np.interp(X[i, :, :, c], KNOTS, VALUES[i, c]), atol=1e-5)
  at_knots = jnp.broadcast_to(KNOTS[None, :, None, None], (2, COUNT, 1, 3))
  assert np.allclose(curve(at_knots)[:, :, 0], VALUES.swapaxes(1, 2), atol=1e-5)


def test_its_slope_is_that_of_the_line_between_two_knots():
  slopes = jax.grad(lambda x: curve(x).sum())(jnp.asarray(X))
  for i, c in np.ndindex(2, 3):
    x = X[i, :, :, c]
    line = np.diff(VALUES[i, c])[np.clip(np.searchsorted(KNOTS, x) - 1, 0, COUNT - 2)]
    want = np.where((x > LOW) & (x < HIGH), line / (KNOTS[1] - KNOTS[0]), 0)
    assert np.allclose(slopes[i, :, :, c], want, atol=1e-4)


@pytest.mark.parametrize('count', [2, 7, 49])
def test_a_histogram_shares_every_place_between_the_two_knots_around_it(count):
  knots = np.linspace(LOW, HIGH, count)
  apart = np.abs(np.clip(np.float64(X), LOW, HIGH)[..., None] - knots) / (knots[1] - knots[0])
  want = np.maximum(1 - apart, 0).mean((1, 2))
  found = tones.histogram(jnp.asarray(X), count, LOW, HIGH)
  assert np.allclose(found, want, atol=1e-5) and np.allclose(found.sum(-1), 1, atol=1e-5)


def test_a_histogram_is_the_transpose_of_a_curve():
  """The mean of a curve's values is its values at the knots, each times its share."""
  shares = tones.histogram(jnp.asarray(X), COUNT, LOW, HIGH)
  assert np.allclose(curve(X).mean((1, 2)), (shares * VALUES).sum(-1), atol=1e-5)
  slopes = jax.grad(lambda v: jnp.sum(curve(X, v)))(jnp.asarray(VALUES))
  assert np.allclose(slopes / (5 * 4), shares, atol=1e-5)


def test_a_loss_on_a_histogram_moves_the_tones():
  wanted = tones.histogram(jnp.full((1, 4, 4, 1), 0.9), COUNT, LOW, HIGH)
  off = lambda x: jnp.square(tones.histogram(x, COUNT, LOW, HIGH) - wanted).sum()
  slopes = jax.grad(off)(jnp.full((1, 4, 4, 1), 0.7))
  assert (slopes < -1e-4).all()


def test_what_is_not_a_number_stays_so_and_harms_no_other():
  x = X.copy()
  x[0, 0, 0, 0] = np.nan
  found = curve(x)
  assert np.isnan(found[0, 0, 0, 0]) and np.isnan(found).sum() == 1
