"""Losses at logits made by hand, penalties against critics whose slope is known."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.objectives.adversarial import (
  LOSSES,
  critic_loss,
  generator_loss,
  gradient_penalty,
  squared_gradient_norm,
)

# Logits at which sigmoid is 3/4 and 1/4, and two beyond the hinge.
REAL, FAKE = np.array([math.log(3), -2.0]), np.array([-math.log(3), 0.5])
D_REAL, D_FAKE = (1 / (1 + np.exp(-x)) for x in (REAL, FAKE))
BY_HAND = {
  'minimax': (-np.log(D_REAL) - np.log(1 - D_FAKE), np.log(1 - D_FAKE)),
  'non_saturating': (-np.log(D_REAL) - np.log(1 - D_FAKE), -np.log(D_FAKE)),
  'least_squares': ((REAL - 1) ** 2 / 2 + FAKE**2 / 2, (FAKE - 1) ** 2 / 2),
  'hinge': (np.array([0.0, 3.0]) + np.array([0.0, 1.5]), -FAKE),
  'wasserstein': (FAKE - REAL, -FAKE),
}


@pytest.mark.parametrize('kind', LOSSES)
def test_losses_at_logits_made_by_hand(kind):
  critic, generator = BY_HAND[kind]
  if kind == 'hinge':  # of log 3 > 1 nothing is left, nor of -log 3 < -1
    assert REAL[0] > 1 and FAKE[0] < -1
  np.testing.assert_allclose(critic_loss(kind, REAL, FAKE), critic, rtol=1e-5, atol=1e-6)
  np.testing.assert_allclose(generator_loss(kind, FAKE), generator, rtol=1e-5)


@pytest.mark.parametrize('kind', LOSSES)
def test_the_players_pull_the_samples_logit_apart(kind):
  """The critic downwards, the generator upwards, unless the loss is content."""
  for logit in (-0.5, 0.3):
    down = jax.grad(lambda x: critic_loss(kind, jnp.zeros(()), x))(logit)
    up = jax.grad(lambda x: generator_loss(kind, x))(logit)
    assert up < 0
    assert down > 0 or (kind == 'least_squares' and logit < 0)


@pytest.mark.parametrize('kind', LOSSES)
def test_losses_are_finite_far_out(kind):
  far = jnp.array([-1e4, 1e4])
  for loss in (lambda x: critic_loss(kind, x, -x), lambda x: generator_loss(kind, x)):
    value, back = jax.vjp(loss, far)
    assert jnp.isfinite(value).all() and jnp.isfinite(back(jnp.ones(2))[0]).all()


def quadratic(x):
  """|x|² / 2: its slope at x is |x|."""
  return 0.5 * jnp.sum(jnp.square(x), axis=(1, 2))


def test_the_slope_of_a_quadratic_is_its_place():
  x = jax.random.normal(jax.random.key(0), (5, 2, 3))
  want = np.square(np.asarray(x)).sum((1, 2))
  np.testing.assert_allclose(squared_gradient_norm(quadratic, x), want, rtol=1e-5)


def test_the_penalty_of_a_linear_critic_is_everywhere_the_same():
  w = np.array([[3.0, 0.0], [0.0, 4.0]], np.float32)
  real, fake = jax.random.normal(jax.random.key(0), (2, 6, 2, 2))
  critic = lambda x: jnp.sum(x * w, axis=(1, 2)) + 7
  found = gradient_penalty(critic, real, fake, jax.random.key(1))
  np.testing.assert_allclose(found, np.full(6, (5 - 1) ** 2), rtol=1e-5)


def test_the_penalty_is_taken_on_the_line_between_the_two():
  """The slope of the quadratic at a place is its length, which tells where on the line it was."""
  real, fake = jnp.full((500, 1, 1), 3.0), jnp.full((500, 1, 1), 5.0)
  found = gradient_penalty(quadratic, real, fake, jax.random.key(0))
  place = np.sqrt(np.asarray(found)) + 1
  assert 3 <= place.min() < 3.1 and 4.9 < place.max() <= 5 and abs(place.mean() - 4) < 0.1


def test_the_penalty_of_a_flat_critic_has_a_gradient():
  x = jnp.ones((4, 2, 2))
  slope = lambda w: gradient_penalty(lambda x: w * jnp.sum(x, (1, 2)), x, -x, jax.random.key(0))
  value, gradient = jax.value_and_grad(lambda w: slope(w).sum())(0.0)
  assert value == pytest.approx(4, rel=1e-4) and jnp.isfinite(gradient)
