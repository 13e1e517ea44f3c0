"""The ELBO's terms, on numbers worked out by hand and on averages of draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.distributions import Bernoulli, Gaussian, kl, standard
from vaejax.objectives.elbo import elbo, log_mean_exp, rate, rate_terms

# KL of each latent dimension for two examples; means over the batch 2, 0.25 and -0.5.
DIVERGENCE = jnp.asarray([[3.0, 0.5, -1.0], [1.0, 0.0, 0.0]])


def posterior():
  """q over 3 examples and 4 latents, far from the prior."""
  mean, log_scale = jax.random.normal(jax.random.key(0), (2, 3, 4))
  return Gaussian(mean, 0.5 * log_scale - 1)


def test_recon_sums_over_the_image_and_kl_keeps_its_dimensions():
  x = jnp.asarray(np.random.default_rng(0).integers(0, 2, (3, 2, 2, 1)), jnp.float32)
  q, p = posterior(), Bernoulli(jnp.full((3, 2, 2, 1), np.log(3.0)))
  terms = elbo(x, p, q, standard((3, 4)), q.mean)
  ones = np.asarray(x).sum((1, 2, 3))
  assert np.allclose(terms.recon, -(ones * np.log(0.75) + (4 - ones) * np.log(0.25)), rtol=1e-6)
  assert np.allclose(terms.kl, kl(q, standard((3, 4))), rtol=1e-6) and terms.kl.shape == (3, 4)


def test_the_sampled_kl_averages_to_the_analytic():
  q, prior, n = posterior(), standard((3, 4)), 20_000
  x, p = jnp.zeros((3, 1)), Bernoulli(jnp.zeros((3, 1)))
  draw = lambda key: elbo(x, p, q, prior, q.sample(key), analytic=False).kl
  sampled = np.asarray(jax.vmap(draw)(jax.random.split(jax.random.key(1), n)))
  error = sampled.std(0) / np.sqrt(n)
  analytic = elbo(x, p, q, prior, q.mean).kl
  assert (error > 0).all() and (error < 0.03).all()
  assert (np.abs(sampled.mean(0) - analytic) < 4 * error).all()


@pytest.mark.parametrize(
  'capacity, free_bits, want',
  [
    (0.0, 0.0, 2 + 0.25 - 0.5),  # the plain KL, negative dimensions and all
    (0.0, 1.0, 2 + 1 + 1),
    (0.0, 0.1, 2 + 0.25 + 0.1),
    (5.0, 0.0, 5 - 1.75),
    (1.0, 0.0, 1.75 - 1),
    (3.0, 1.0, 4 - 3),
  ],
)
def test_capacity_and_free_bits_by_hand(capacity, free_bits, want):
  assert np.allclose(rate(DIVERGENCE.mean(0), capacity, free_bits), want, rtol=1e-6)
  # The same where they are array leaves, as in `hyper`.
  arrays = jnp.asarray(capacity), jnp.asarray(free_bits)
  assert np.allclose(jax.jit(rate)(DIVERGENCE.mean(0), *arrays), want, rtol=1e-6)


def test_a_negative_kl_stays_negative_when_both_are_off():
  assert rate(-DIVERGENCE.mean(0), 0.0, 0.0) == -1.75
  assert rate(-DIVERGENCE.mean(0)) == -1.75
  assert np.allclose(rate_terms(-DIVERGENCE, jnp.zeros(3)), [-2.5, -1.0], rtol=1e-6)


def test_free_bits_are_of_the_batchs_mean_and_stop_its_gradient():
  slope = jax.grad(lambda kl, *limits: rate(kl.mean(0), *limits))
  assert np.array_equal(slope(DIVERGENCE, 0.0, 1.0), [[0.5, 0, 0], [0.5, 0, 0]])
  assert np.array_equal(slope(DIVERGENCE, 5.0, 0.0), np.full((2, 3), -0.5))
  assert np.array_equal(slope(DIVERGENCE, 1.0, 0.0), np.full((2, 3), 0.5))


@pytest.mark.parametrize('limits', [(0.0, 0.0), (0.0, 0.3), (5.0, 0.0), (1.0, 0.0), (3.0, 1.0)])
def test_terms_of_examples_have_the_mean_and_the_gradient_of_the_rate(limits):
  terms = lambda kl: rate_terms(kl, DIVERGENCE.mean(0), *limits)
  whole = lambda kl: rate(kl.mean(0), *limits)
  assert np.isclose(terms(DIVERGENCE).mean(), whole(DIVERGENCE), rtol=1e-6)
  slope = jax.grad(lambda kl: terms(kl).mean())(DIVERGENCE)
  assert np.allclose(slope, jax.grad(whole)(DIVERGENCE), rtol=1e-6)
  # Parts of the batch, with the mean of all of it.
  parts = [rate_terms(row[None], DIVERGENCE.mean(0), *limits)[0] for row in DIVERGENCE]
  assert np.allclose(parts, terms(DIVERGENCE), rtol=1e-6)


def test_log_mean_exp():
  x = np.random.default_rng(0).normal(0, 3, (5, 4))
  for axis in (0, 1):
    want = np.log(np.mean(np.exp(x), axis=axis))
    assert np.allclose(log_mean_exp(jnp.asarray(x), axis), want, rtol=1e-5, atol=1e-6)
  # Where exp itself overflows or vanishes.
  assert np.allclose(log_mean_exp(jnp.asarray([1000.0, 1000.0])), 1000)
  assert np.allclose(log_mean_exp(jnp.asarray([-1000.0, -3000.0])), -1000 - np.log(2))
  assert log_mean_exp(jnp.asarray([7.0])) == 7


@pytest.mark.parametrize('analytic', [True, False])
def test_gradients_are_finite_differences(analytic):
  def value(flat):
    """-ELBO with capacity and free bits, through a reparameterised draw."""
    mean, log_scale, logits = flat.reshape(3, 2, 3)
    q = Gaussian(mean, log_scale)
    z = q.sample(jax.random.key(4))
    p = Bernoulli(logits + z)
    x = jnp.asarray([[1.0, 0, 1], [0, 0, 1]])
    terms = elbo(x, p, q, standard((2, 3)), z, analytic)
    return terms.recon.mean() + 4 * rate(terms.kl.mean(0), 0.5, 0.1) + log_mean_exp(terms.recon)

  with jax.enable_x64(True):
    at = jnp.asarray(np.random.default_rng(1).normal(0, 1, 18))
    step = 1e-5 * np.eye(18)
    value_of = jax.jit(jax.vmap(value))
    want = (value_of(at + step) - value_of(at - step)) / 2e-5
    got = jax.jit(jax.grad(value))(at)
  assert got.dtype == np.float64 and np.abs(got).min() > 1e-4
  assert np.allclose(got, want, rtol=1e-6, atol=1e-8)
