"""Distributions against scipy, sums and quadrature, at their extremes, and in their draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from vaejax.compound import Chain, Codes, Joint, Mixture, Point, divergence
from vaejax.distributions import (
  Bernoulli,
  Categorical,
  DiscretisedLogistic,
  Gaussian,
  Laplace,
  kl,
  per_example,
  standard,
)
from vaejax.softplus import softplus

# One program each, rather than one for every operation.
log_prob = jax.jit(lambda p, x: p.log_prob(x))
mean_of = jax.jit(lambda p: p.mean)
gradient = jax.jit(jax.grad(lambda p, x: p.log_prob(x).sum()))

RANGES = [(0.0, 1.0), (-1.0, 1.0)]
MEANS, SCALES, VALUES = (
  a.ravel()
  for a in np.meshgrid([-1.5, 0.0, 0.3, 2.0], [-3.0, -0.5, 0.0, 2.0], [-1.0, 0.0, 0.7, 1.0])
)


def levels(low, high, count):
  return np.linspace(low, high, count)


def logistic(location, log_scale, low, high, count):
  return DiscretisedLogistic(jnp.asarray(location), jnp.asarray(log_scale), low, high, count)


def log_bin(x, location, log_scale, low, high, count):
  """log P(bin of x) in float64, from whichever tail has the digits."""
  half, scale = (high - low) / (count - 1) / 2, np.exp(log_scale)
  upper = np.where(x > high - half, np.inf, (x + half - location) / scale)
  lower = np.where(x < low + half, -np.inf, (x - half - location) / scale)
  right = lower > 0
  upper, lower = np.where(right, -lower, upper), np.where(right, -upper, lower)
  return np.log(stats.logistic.cdf(upper) - stats.logistic.cdf(lower))


def test_no_two_have_one_structure():
  """Else `jit` would now and then take the program of one for the other."""
  x, kinds = jnp.zeros(2), (Bernoulli, Gaussian, Laplace, DiscretisedLogistic, Categorical)
  made = [kind(*[x] * (1 if kind in (Bernoulli, Categorical) else 2)) for kind in kinds]
  made += [DiscretisedLogistic(x, x, levels=4), Categorical(x, low=-1.0)]
  trees = [jax.tree.structure(p) for p in made]
  assert all(a != b for i, a in enumerate(trees) for b in trees[:i])
  for p in made:
    again = jax.tree.map(lambda leaf: leaf + 1, p)
    assert type(again) is type(p) and jax.tree.structure(again) == jax.tree.structure(p)
    assert all((leaf == 1).all() for leaf in jax.tree.leaves(again))


def test_per_example_sums_all_but_the_batch():
  x = np.arange(24.0).reshape(2, 3, 4)
  assert np.array_equal(per_example(jnp.asarray(x)), [66, 210])


def test_bernoulli_is_scipys():
  logits = np.linspace(-12, 12, 13)
  for x in (0.0, 1.0):
    want = stats.bernoulli.logpmf(int(x), special.expit(logits))
    got = log_prob(Bernoulli(jnp.asarray(logits)), x)
    assert np.allclose(got, want, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize('shape', [(28, 28, 1), (8, 8, 1), (32, 32, 3), (7, 1, 1), (127, 1, 1)])
def test_the_total_of_a_bernoulli_is_the_sum(shape):
  """With logits far out, where its factors are 1 and 2."""
  rng = np.random.default_rng(0)
  logits = rng.normal(0, 8, (5, *shape))
  logits[0], logits[1], logits[2] = 0.0, 90.0, -90.0
  x = rng.integers(0, 2, logits.shape)
  want = (x * logits - np.logaddexp(0, logits)).reshape(5, -1).sum(1)
  p = Bernoulli(jnp.asarray(logits, jnp.float32))
  got = jax.jit(lambda p, x: p.total_log_prob(x))(p, jnp.asarray(x, jnp.float32))
  np.testing.assert_allclose(got, want, rtol=2e-6, atol=2e-4)


def test_the_total_of_others_is_the_sum_over_an_example():
  x = jnp.arange(12.0).reshape(2, 3, 2)
  got = Gaussian(x, 0 * x).total_log_prob(x + 1)
  np.testing.assert_allclose(got, np.full(2, 6 * stats.norm.logpdf(1)), rtol=1e-6)


def test_bernoulli_of_a_grey_level_is_the_cross_entropy():
  logits, x = np.linspace(-5, 5, 11), 0.25
  p = special.expit(logits)
  want = x * np.log(p) + (1 - x) * np.log(1 - p)
  assert np.allclose(log_prob(Bernoulli(jnp.asarray(logits)), x), want, rtol=1e-5)


@pytest.mark.parametrize('ours, theirs', [(Gaussian, stats.norm), (Laplace, stats.laplace)])
def test_densities_are_scipys(ours, theirs):
  got = log_prob(ours(jnp.asarray(MEANS), jnp.asarray(SCALES)), jnp.asarray(VALUES))
  want = theirs.logpdf(VALUES, MEANS, np.exp(SCALES))
  assert np.allclose(got, want, rtol=2e-6, atol=2e-6)


BINS = [(0.0, 1.0, 2), (0.0, 1.0, 256), (-1.0, 1.0, 17), (-1.0, 1.0, 256)]


@pytest.mark.parametrize('low, high, count', BINS)
def test_a_bin_of_the_logistic_is_the_difference_of_its_cdf(low, high, count):
  x, location, log_scale = np.meshgrid(
    levels(low, high, count), [-0.5, 0.2, 0.98, 1.3], [-4.0, -2.0, 0.0, 3.0, 7.0]
  )
  want = log_bin(x, location, log_scale, low, high, count)
  got = log_prob(logistic(location, log_scale, low, high, count), jnp.asarray(x))
  # x in float32 is off by 6e-8, which the scale magnifies.
  assert np.allclose(got, want, rtol=3e-6, atol=1e-5)


@pytest.mark.parametrize('low, high, count', BINS)
def test_the_logistic_sums_to_one(low, high, count):
  x, location, log_scale = np.meshgrid(
    levels(low, high, count), [-3.0, 0.0, 0.41, 1.0], [-7.0, -5.0, -1.0, 7.0]
  )
  p = np.exp(log_prob(logistic(location, log_scale, low, high, count), jnp.asarray(x)))
  # The half of a float32's last place by which an edge may be off, over the scale.
  assert (np.abs(p.sum(1) - 1) < 1e-5 + 1e-7 / np.exp(log_scale[:, 0])).all()


@pytest.mark.parametrize('low, high, count', BINS)
def test_the_categorical_sums_to_one_and_knows_its_levels(low, high, count):
  logits = np.random.default_rng(0).normal(0, 5, count)
  p = Categorical(jnp.broadcast_to(jnp.asarray(logits), (count, count)), low, high)
  got = log_prob(p, jnp.asarray(levels(low, high, count)))
  assert np.allclose(got, special.log_softmax(logits), rtol=1e-5, atol=1e-5)
  assert abs(np.exp(got).sum() - 1) < 1e-5


EXTREMES = {
  'bernoulli': lambda a, s: Bernoulli(100 * a),
  'gaussian': Gaussian,
  'laplace': Laplace,
  'logistic': lambda a, s: DiscretisedLogistic(a, s, -1.0, 1.0, 256),
  'categorical': lambda a, s: Categorical(jnp.stack([100 * a, -s, s, 0 * s], -1), -1.0, 1.0),
}


@pytest.mark.parametrize('kind', EXTREMES)
def test_values_and_gradients_are_finite_at_the_extremes(kind):
  a, s, x = np.meshgrid([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0], [-7.0, 0.0, 7.0], [-1.0, 1 / 3, 1.0])
  a, s, x = (jnp.asarray(v.ravel(), jnp.float32) for v in (a, s, x))

  @jax.jit
  def run(a, s):
    p = EXTREMES[kind](a, s)
    slopes = jax.grad(lambda *args: EXTREMES[kind](*args).log_prob(x).sum(), (0, 1))(a, s)
    return p.log_prob(x), p.mean, *slopes

  assert all(np.isfinite(found).all() for found in run(a, s))


def test_the_logistic_still_falls_where_float32_has_no_mass_left():
  x = jnp.asarray(levels(0, 1, 256)[1:-1], jnp.float32)
  p = logistic(np.full(254, -1.0), np.full(254, -7.0), 0.0, 1.0, 256)
  got = np.asarray(log_prob(p, x))
  # One bin further is exp(-width / scale) less likely.
  assert np.allclose(np.diff(got), -np.exp(7) / 255, rtol=1e-3)
  assert np.allclose(gradient(p, x).location, np.exp(7), rtol=1e-5)


GRADIENTS = {
  'bernoulli': (
    lambda a, s: Bernoulli(a),
    lambda x, a, s: x * a - np.logaddexp(0, a),
  ),
  'gaussian': (Gaussian, lambda x, a, s: stats.norm.logpdf(x, a, np.exp(s))),
  'laplace': (Laplace, lambda x, a, s: stats.laplace.logpdf(x, a, np.exp(s))),
  'logistic': (
    lambda a, s: DiscretisedLogistic(a, s, 0.0, 1.0, 5),
    lambda x, a, s: log_bin(x, a, s, 0.0, 1.0, 5),
  ),
  'categorical': (
    lambda a, s: Categorical(jnp.stack([a, s, 0 * a], -1)),
    lambda x, a, s: (
      np.stack([a, s, 0 * a], -1)[np.arange(len(x)), np.round(2 * x).astype(int)]
      - special.logsumexp(np.stack([a, s, 0 * a], -1), axis=-1)
    ),
  ),
}


@pytest.mark.parametrize('kind', GRADIENTS)
def test_gradients_are_finite_differences(kind):
  ours, reference = GRADIENTS[kind]
  grid = np.meshgrid([-0.4, 0.0, 0.3, 1.1], [-2.0, -0.5, 1.0], [0.0, 0.5, 1.0])
  a, s, x = (v.ravel() for v in grid)
  a = np.where((a == x) & (kind == 'laplace'), 0.1, a)  # off the kink
  step = 1e-5  # of a float64 reference: the error is 1e-10
  value = lambda a, s: ours(a, s).log_prob(jnp.asarray(x)).sum()
  got = jax.jit(jax.grad(value, (0, 1)))(jnp.asarray(a), jnp.asarray(s))
  want = (
    (reference(x, a + step, s) - reference(x, a - step, s)) / (2 * step),
    (reference(x, a, s + step) - reference(x, a, s - step)) / (2 * step),
  )
  assert np.allclose(got[0], want[0], rtol=2e-5, atol=2e-5)
  if kind != 'bernoulli':
    assert np.allclose(got[1], want[1], rtol=2e-5, atol=2e-5)


N = 40_000
DRAWN = {
  'bernoulli': (lambda: Bernoulli(jnp.asarray([-3.0, 0.0, 1.0])), lambda m: m * (1 - m)),
  'gaussian': (lambda: Gaussian(*DRAWN_AT), lambda m: np.exp(2 * DRAWN_AT[1])),
  'laplace': (lambda: Laplace(*DRAWN_AT), lambda m: 2 * np.exp(2 * DRAWN_AT[1])),
}
DRAWN_AT = jnp.asarray([-1.0, 0.0, 2.0]), jnp.asarray([-2.0, 0.0, 1.0])


def draws(p):
  sample = jax.jit(lambda p: jax.vmap(p.sample)(jax.random.split(jax.random.key(3), N)))(p)
  assert sample.shape == (N, *p.mean.shape) and sample.dtype == jnp.float32
  return np.asarray(sample, np.float64)


@pytest.mark.parametrize('kind', DRAWN)
def test_draws_have_the_mean_and_the_variance(kind):
  make, variance = DRAWN[kind]
  sample, mean = draws(make()), np.asarray(make().mean)
  want = np.asarray(variance(mean))
  assert (np.abs(sample.mean(0) - mean) < 4 * np.sqrt(want / N)).all()
  # The variance of a variance is at most 5 / N of its square (Laplace).
  assert np.allclose(sample.var(0), want, rtol=4 * np.sqrt(5 / N))


@pytest.mark.parametrize('low, high', RANGES)
@pytest.mark.parametrize('count', [17, 256])
def test_draws_of_the_logistic_have_its_mean_and_its_bins(low, high, count):
  location = jnp.asarray([low - 0.2, 0.3, high, high])
  p = DiscretisedLogistic(location, jnp.asarray([-1.5, -1.0, -2.0, 1.0]), low, high, count)
  values = jnp.asarray(levels(low, high, count), jnp.float32)
  chance = np.exp(log_prob(p, jnp.broadcast_to(values[:, None], (count, 4))))
  # The error of the midpoint rule: width² / 24 times the difference of two densities.
  error = p.width**2 / 24 / (4 * np.exp(p.log_scale)) + 2e-5
  assert (np.abs(mean_of(p) - np.asarray(values) @ chance) < error).all()
  sample = draws(p)
  bins = np.round((sample - low) / p.width).astype(int)
  assert np.allclose(sample, np.asarray(values)[bins], atol=1e-6)
  for i in range(4):
    seen = np.bincount(bins[:, i], minlength=count)
    expected = N * chance[:, i]
    many = expected > 5
    square = np.sum((seen - expected)[many] ** 2 / expected[many])
    assert stats.chi2.sf(square, many.sum() - 1) > 1e-4


@pytest.mark.parametrize('low, high', RANGES)
def test_draws_of_the_categorical_have_its_chances_and_its_mean(low, high):
  p = Categorical(jnp.log(jnp.asarray([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]])), low, high)
  sample, values = draws(p), levels(low, high, 4)
  for i, chance in enumerate(np.exp(p.logits)):
    seen = np.bincount(np.searchsorted(values, sample[:, i] - 1e-3), minlength=4)
    chance = chance.astype(float) / chance.sum(dtype=float)
    assert stats.chisquare(seen, N * chance).pvalue > 1e-4
    assert abs(mean_of(p)[i] - values @ chance) < 1e-6


def test_temperature_scales_the_noise_and_zero_is_the_mean():
  p, key = Gaussian(*DRAWN_AT), jax.random.key(1)
  noise = p.sample(key) - p.mean
  assert np.array_equal(p.sample(key, temperature=0.0), p.mean)
  assert np.allclose(p.sample(key, temperature=2.0) - p.mean, 2 * noise, rtol=1e-5, atol=1e-6)


def test_kl_is_the_integral():
  q_mean, q_scale, p_mean, p_scale = (
    v.ravel() for v in np.meshgrid([-1.0, 0.4], [-1.0, 0.5], [0.0, 2.0], [-0.5, 1.0])
  )
  at = np.linspace(-12, 12, 4001)[:, None] * np.exp(q_scale) + q_mean
  q = stats.norm.pdf(at, q_mean, np.exp(q_scale))
  ratio = stats.norm.logpdf(at, q_mean, np.exp(q_scale)) - stats.norm.logpdf(
    at, p_mean, np.exp(p_scale)
  )
  want = np.trapezoid(q * ratio, at, axis=0)
  got = kl(
    Gaussian(jnp.asarray(q_mean), jnp.asarray(q_scale)),
    Gaussian(jnp.asarray(p_mean), jnp.asarray(p_scale)),
  )
  assert np.allclose(got, want, rtol=2e-6, atol=2e-6)


def test_kl_of_the_same_is_zero_with_zero_gradient():
  q = Gaussian(*DRAWN_AT)
  assert np.array_equal(kl(q, q), np.zeros(3))
  assert np.array_equal(kl(standard((3,)), standard((3,))), np.zeros(3))
  slope = jax.grad(lambda q: kl(q, Gaussian(*DRAWN_AT)).sum())(q)
  assert np.array_equal(slope.mean, np.zeros(3)) and np.array_equal(slope.log_scale, np.zeros(3))


def test_a_mixture_is_the_sum_of_its_parts_and_no_sum_over_a_batch():
  logits, rng = jnp.array([[0.3, -1.0, 2.0]] * 4), np.random.default_rng(0)
  means, log_scales = (jnp.asarray(rng.normal(size=(1, 3, 2)), jnp.float32) for _ in range(2))
  z = jnp.asarray(rng.normal(size=(4, 2)), jnp.float32)
  p = Mixture(logits, means, log_scales)
  parts = stats.norm(means, np.exp(log_scales)).pdf(z[:, None]).prod(-1)
  want = (parts * special.softmax(logits, -1)).sum(-1)
  np.testing.assert_allclose(p.log_prob(z), np.log(want), rtol=1e-5)
  assert per_example(p.log_prob(z)).shape == (4,)
  # Of as many latents as rows, [B, L] - [B] would be broadcast in silence.
  square, q = jnp.ones((2, 2)), Gaussian(jnp.zeros((2, 2)), jnp.zeros((2, 2)))
  small = Mixture(logits[:2], means, log_scales)
  gap = divergence(q, small, square)
  np.testing.assert_allclose(gap, q.log_prob(square).sum(-1) - small.log_prob(square), rtol=1e-5)
  assert gap.shape == (2,)


def test_temperature_zero_is_the_mean_of_a_component():
  logits, means = jnp.zeros((50, 2)), jnp.array([[[-3.0], [3.0]]])
  drawn = Mixture(logits, means, jnp.zeros((1, 2, 1))).sample(jax.random.key(0), 0.0)
  assert set(np.unique(drawn)) == {-3.0, 3.0}


def test_codes():
  logits = jnp.array([[0.0, 1.0, -1.0]] * 30_000)
  p = Codes(logits)
  shares = np.bincount(p.sample(jax.random.key(0)), minlength=3) / 30_000
  np.testing.assert_allclose(shares, special.softmax([0.0, 1.0, -1.0]), atol=0.01)
  np.testing.assert_allclose(np.exp(p.log_prob(jnp.full(30_000, 2)))[0], shares[2], atol=0.01)
  assert (p.mean == 1).all() and (p.sample(jax.random.key(1), 0.0) == 1).all()


def _shifted(offset, values):
  return Gaussian(values[0] + offset, jnp.zeros_like(values[0]))


def test_a_chain_is_the_product_of_its_conditionals():
  first = Gaussian(jnp.zeros((3, 2)), jnp.full((3, 2), 0.5))
  make = jax.jit(lambda offset: Chain(first, (jax.tree_util.Partial(_shifted, offset),)))
  chain = make(2.0)  # leaves jit
  z, log_p = chain.sample_and_log_prob(jax.random.key(0))
  want = stats.norm(0, np.exp(0.5)).logpdf(z[0]) + stats.norm(z[0] + 2, 1).logpdf(z[1])
  np.testing.assert_allclose(log_p[0] + log_p[1], want, rtol=1e-4)
  assert (chain.mean[1] == 2).all() and per_example(log_p).shape == (3,)
  joint = Joint((standard((3, 2)), standard((3, 2))))
  gaps = divergence(chain, joint, z)
  np.testing.assert_allclose(gaps[1], kl(Gaussian(z[0] + 2, 0 * z[0]), standard((3, 2))))
  sampled = divergence(chain, joint, z, analytic=False)
  both = [float(per_example(g).sum()) for g in (gaps, sampled)]
  assert both[0] != both[1]


def test_the_sampled_divergence_averages_to_the_analytic():
  q, p = Gaussian(jnp.full((1, 2), 0.7), jnp.full((1, 2), -0.3)), standard((1, 2))
  keys = jax.random.split(jax.random.key(0), 20_000)
  drawn = jax.vmap(lambda k: divergence(q, p, q.sample(k), analytic=False))(keys)
  error = drawn.std(0) / np.sqrt(20_000)
  assert (np.abs(drawn.mean(0) - kl(q, p)) < 5 * error).all()


def test_a_point_costs_nothing():
  p = Point(jnp.array([2, 0]))
  assert np.array_equal(p.sample(jax.random.key(0)), [2, 0])
  assert np.array_equal(p.log_prob(p.mean), [0, 0])


def test_softplus_and_all_its_derivatives_are_right_at_zero_too():
  x = np.asarray([-80.0, -5.0, -1e-4, 0.0, 1e-4, 0.3, 30.0], np.float32)
  first, second, third = softplus, jax.grad(softplus), jax.grad(jax.grad(softplus))
  sigmoid = special.expit(x.astype(np.float64))
  wanted = special.log1p(np.exp(x.astype(np.float64))), sigmoid, sigmoid * (1 - sigmoid)
  for f, values in zip((first, second, third), wanted, strict=True):
    np.testing.assert_allclose(jax.vmap(f)(x), values, rtol=2e-6, atol=1e-7)
  assert third(0.0) == 0.25
  # A gradient penalty differentiates twice: against finite differences, across 0.
  with jax.enable_x64(True):
    at, step = jnp.asarray([-1.0, 0.0, 0.5]), 1e-5
    for order in range(3):
      f = softplus
      for _ in range(order):
        f = jax.grad(f)
      f, slope = jax.vmap(f), jax.vmap(jax.grad(f))
      differences = (f(at + step) - f(at - step)) / (2 * step)
      np.testing.assert_allclose(slope(at), differences, atol=1e-8)
