"""Against the exact conditionals of linear-Gaussian models, with masks and with sums of pixels."""

import jax
import jax.numpy as jnp
import linear_gaussian as linear
import numpy as np
import pytest

from vaejax.compound import Codes
from vaejax.distributions import Bernoulli
from vaejax.errors import UserError
from vaejax.inference.gibbs import gibbs
from vaejax.inference.importance import importance
from vaejax.inference.observation import degraded, masked, noisy, residual_scale
from vaejax.inference.optimise import optimise

KEY = jax.random.key(5)
SCALE = 0.3
SOURCE = linear.SUM @ linear.IMAGE.ravel()


def row_means(x):
  return jnp.mean(x, axis=(2, 3))


def lift(r):
  return jnp.broadcast_to(r[:, :, None, None], (len(r), *linear.SHAPE))


SUMS = degraded(row_means, lift, lift)
SUMS_SEEN = {'source': SOURCE, 'scale': np.float32(SCALE)}
# {name: (observation, what was seen, a, y, noise)} where y = a z + noise.
KINDS = {
  'mask': (masked(), linear.MASKED, *linear.of_seen(), linear.NOISE),
  'sums': (SUMS, SUMS_SEEN, linear.SUM @ linear.W, SOURCE, SCALE),
}


@pytest.mark.parametrize('kind', KINDS)
def test_the_mode_of_a_gaussian_posterior_is_its_mean(kind):
  observation, seen, a, y, noise = KINDS[kind]
  modes = optimise(linear.simple(), {}, observation, seen, {}, KEY, 3, 400, 0.1)
  mean, covariance, log_p = linear.conditional(a, y, noise)
  np.testing.assert_allclose(modes.z, np.tile(mean, (3, 1)), atol=2e-3)
  # log p(z, y) = log p(y) + log p(z|y), whose density at the mean is known.
  density = -0.5 * np.linalg.slogdet(2 * np.pi * covariance)[1]
  np.testing.assert_allclose(modes.log_joint, log_p + density, rtol=1e-4)


def test_the_mode_of_a_tuple_of_latents():
  a, y = linear.of_seen()
  modes = optimise(linear.hierarchy(), {}, masked(), linear.MASKED, {}, KEY, 2, 400, 0.1)
  joint = np.block([[np.eye(2) * (1 + linear.INNER**2), np.eye(2) * linear.INNER],
                    [np.eye(2) * linear.INNER, np.eye(2)]])  # fmt: skip
  mean, *_ = linear.conditional(np.hstack([a, 0 * a]), y, linear.NOISE, np.zeros(4), joint)
  np.testing.assert_allclose(np.hstack(modes.z), np.tile(mean, (2, 1)), atol=3e-3)


def test_modes_are_sorted_and_a_seed_repeats_them():
  run = lambda: optimise(linear.simple(), {}, masked(), linear.MASKED, {}, KEY, 5, 3, 0.1)
  modes = run()
  assert (np.diff(modes.log_joint) < 0).all()
  np.testing.assert_array_equal(modes.z, run().z)


def test_given_a_label():
  a, y = linear.of_seen()
  given = {'label': np.int32(2)}
  model = linear.simple(conditional=True)
  mean, covariance, log_p = linear.conditional(a, y, linear.NOISE, np.full(2, 2 * linear.SHIFT))
  modes = optimise(model, {}, masked(), linear.MASKED, given, KEY, 2, 400, 0.1)
  np.testing.assert_allclose(modes.z[0], mean, atol=2e-3)
  found = importance(model, {}, masked(), linear.MASKED, given, KEY, 2000, 4000)
  check_moments(found.z, mean, covariance, found.effective_samples)
  assert found.log_evidence == pytest.approx(log_p, abs=0.1)
  chains = gibbs(model, {}, masked(), linear.MASKED, given, KEY, 2000, 20)
  check_moments(chains.z, mean, covariance)


def check_moments(z, mean, covariance, draws=np.inf):
  """Means within five standard errors, covariances within a sixth of the largest variance. z is
  resampled from so many effective draws."""
  error = np.sqrt(np.diag(covariance) * (1 / len(z) + 1 / draws))
  assert (np.abs(z.mean(0) - mean) < 5 * error).all(), (z.mean(0), mean, error)
  np.testing.assert_allclose(np.cov(z.T), covariance, atol=covariance.max() / 6)


def test_gibbs_draws_from_the_posterior_given_the_mask():
  mean, covariance, _ = linear.conditional(*linear.of_seen(), linear.NOISE)
  chains = gibbs(linear.simple(), {}, masked(), linear.MASKED, {}, KEY, 2000, 30)
  check_moments(chains.z, mean, covariance)
  image = np.asarray(chains.image)
  np.testing.assert_array_equal(
    image * linear.SEEN, np.tile(linear.IMAGE * linear.SEEN, (2000, 1, 1, 1))
  )
  # The missing part is the mean of p(x|z).
  decoded = (chains.z @ linear.W.T).reshape(-1, *linear.SHAPE)
  np.testing.assert_allclose(image * (1 - linear.SEEN), decoded * (1 - linear.SEEN), atol=1e-5)


def test_gibbs_imposes_the_sums():
  chains = gibbs(linear.simple(), {}, SUMS, SUMS_SEEN, {}, KEY, 3, 4)
  np.testing.assert_allclose(row_means(chains.image), np.tile(SOURCE, (3, 1)), atol=1e-5)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('proposal', ['prior', 'posterior'])
def test_importance_resampling_draws_from_the_posterior(kind, proposal):
  observation, seen, a, y, noise = KINDS[kind]
  completed = None if proposal == 'prior' else np.stack([linear.IMAGE, 0.5 * linear.IMAGE])
  found = importance(linear.simple(), {}, observation, seen, {}, KEY, 2000, 4000, completed)
  mean, covariance, log_p = linear.conditional(a, y, noise)
  check_moments(found.z, mean, covariance, found.effective_samples)
  assert found.log_evidence == pytest.approx(log_p, abs=0.1)
  assert 100 < found.effective_samples < 4000


def test_importance_weights_correct_a_wrong_posterior_of_a_hierarchy():
  a, y = linear.of_seen()
  wider = np.eye(2) * (1 + linear.INNER**2)
  mean, covariance, log_p = linear.conditional(a, y, linear.NOISE, covariance=wider)
  found = importance(
    linear.hierarchy(), {}, masked(), linear.MASKED, {}, KEY, 2000, 4000, linear.IMAGE[None]
  )
  check_moments(found.z[0], mean, covariance, found.effective_samples)
  assert found.log_evidence == pytest.approx(log_p, abs=0.1)


def test_equal_weights_are_all_effective():
  """Nothing is seen, so every draw of the prior has the same weight."""
  nothing = linear.MASKED | {'seen': np.zeros_like(linear.SEEN)}
  found = importance(linear.simple(), {}, masked(), nothing, {}, KEY, 2, 50)
  assert found.effective_samples == pytest.approx(50, rel=1e-5)
  assert found.log_evidence == pytest.approx(0, abs=1e-5)


def test_what_is_not_seen_does_not_matter():
  """Not even where its density is not a number."""
  p = Bernoulli(jnp.ones((1, *linear.SHAPE)))
  seen = {'image': jnp.where(linear.SEEN > 0, 1.0, jnp.nan)[None], 'seen': linear.SEEN[None]}
  expected = 5 * np.log(1 / (1 + np.exp(-1.0))) * (linear.SEEN.sum() / 5)
  assert masked().log_prob(p, seen)[0] == pytest.approx(expected, rel=1e-5)


def test_a_likelihood_of_whole_pictures_is_refused():
  class Whole:
    def log_prob(self, x):
      return jnp.zeros(len(x))

  with pytest.raises(UserError, match='does not factorise'):
    masked().log_prob(Whole(), jax.tree.map(lambda x: x[None], linear.MASKED))


def test_codes_are_refused():
  prior = lambda v, n, given: (Codes(jnp.zeros((n, 2, 3))), v)
  model = linear.simple()._replace(prior=prior)
  with pytest.raises(UserError, match=r'codes cannot be optimised.*--how=gibbs'):
    optimise(model, {}, masked(), linear.MASKED, {}, KEY, 2, 3, 0.1)


def test_noise_is_not_imposed():
  seen = {'source': linear.IMAGE, 'scale': np.float32(1), 'gain': np.float32(0.5)}
  with pytest.raises(UserError, match='without noise'):
    gibbs(linear.simple(), {}, noisy(), seen, {}, KEY, 2, 1)


def test_the_mean_of_x_given_z_and_its_noisy_picture():
  """x = m + 0.5 e, y = x + 0.3 e: the exact conditional of the joint Gaussian of (x, y)."""
  mean, noise = np.zeros_like(linear.IMAGE), 0.3
  total = np.hypot(linear.NOISE, noise)
  seen = {'source': linear.IMAGE, 'scale': total, 'gain': (linear.NOISE / total) ** 2}
  seen = jax.tree.map(lambda x: np.asarray(x, np.float32)[None], seen)
  precision = 1 / linear.NOISE**2 + 1 / noise**2
  expected = linear.IMAGE / noise**2 / precision
  np.testing.assert_allclose(noisy().expected(mean[None], seen)[0], expected, rtol=1e-5)
  a, y = np.asarray(linear.W), linear.IMAGE.ravel()
  one = {name: x[0] for name, x in seen.items()}
  modes = optimise(linear.simple(), {}, noisy(), one, {}, KEY, 1, 400, 0.1)
  np.testing.assert_allclose(modes.z[0], linear.conditional(a, y, total)[0], atol=2e-3)


def test_the_residual_of_a_reconstruction():
  batch = {'image': linear.IMAGE[None]}
  model = linear.simple()
  z = model.posterior({}, batch)[0].mean[0]
  expected = SOURCE - linear.SUM @ (linear.W @ z)
  value = residual_scale(model, {}, batch, row_means)
  assert value == pytest.approx(np.sqrt(np.mean(expected**2)), rel=1e-4)
