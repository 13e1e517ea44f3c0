"""MIG by both definitions and modularity, on codes whose scores are known."""

import math

import jax
import numpy as np
import pytest
from scipy.stats import norm

from vaejax.distributions import Gaussian
from vaejax.metrics.disentanglement.aggregate import densities, gap_tables
from vaejax.metrics.disentanglement.information import (
  Tables,
  bin_indices,
  binned,
  entropy,
  mig,
  modularity,
)

COUNTS = 4, 5, 3


def grid(repeats=4):
  """All combinations of three factors, [N, 3]."""
  return np.stack([x.ravel() for x in np.indices(COUNTS)], axis=1).repeat(repeats, axis=0)


def of_bins(codes, factors):
  return binned(bin_indices(np.asarray(codes, np.float64)), factors)


def test_entropy():
  assert entropy(np.array([2.0, 2.0])) == pytest.approx(math.log(2))
  assert entropy(np.array([5.0, 0.0])) == 0
  np.testing.assert_allclose(entropy(np.array([[1, 3], [1, 1]])), [0.5623351, math.log(2)], 1e-6)


def test_a_perfect_code():
  factors = grid()
  tables = of_bins(factors[:, ::-1], factors)
  want = np.diag(np.log(COUNTS))[::-1]
  np.testing.assert_allclose(tables.information, want, atol=1e-12)
  np.testing.assert_allclose(tables.entropies, np.log(COUNTS))
  assert mig(tables) == pytest.approx(1) and modularity(tables) == pytest.approx(1)


def test_a_duplicated_code_has_no_gap_and_is_modular():
  factors = grid()
  tables = of_bins(np.concatenate([factors, 2 * factors], axis=1), factors)
  assert mig(tables) == pytest.approx(0) and modularity(tables) == pytest.approx(1)


def test_one_latent_that_holds_two_factors():
  """z = v1 + 4 v2 has log 4 nats of v1 and log 5 of v2: δ = (log 4 / log 5)² / 2."""
  factors = grid()
  code = np.stack([factors[:, 0] + 4 * factors[:, 1], factors[:, 2]], axis=1)
  tables = of_bins(code, factors)
  np.testing.assert_allclose(tables.information[0], [math.log(4), math.log(5), 0], atol=1e-12)
  wanted = (1 - (math.log(4) / math.log(5)) ** 2 / 2 + 1) / 2
  assert modularity(tables) == pytest.approx(wanted)
  assert mig(tables) == pytest.approx(1)


def test_a_rotated_code_has_a_small_gap():
  factors = grid(50)
  z = (
    factors[:, :2] - factors[:, :2].mean(0) + 0.01 * np.random.default_rng(0).normal(size=(3000, 2))
  )
  turn = np.array([[1, 1], [1, -1]]) / math.sqrt(2)
  gap = lambda z: mig(of_bins(z, factors[:, :2]))
  assert gap(z @ turn) < 0.15 < 0.95 < gap(z)


def test_noise_has_neither():
  factors = grid(200)
  tables = of_bins(np.random.default_rng(0).normal(size=(len(factors), 4)), factors)
  assert mig(tables) < 0.01 and tables.information.max() < 0.01
  still = of_bins(np.ones((len(factors), 4)), factors)
  assert mig(still) == 0 and modularity(still) == 0


def test_bins_are_those_of_disentanglement_lib():
  """np.digitize(z, np.histogram(z, 20)[1][:-1]) there, counted from 1."""
  z = np.random.default_rng(0).normal(size=(500, 3))
  want = np.stack([np.digitize(x, np.histogram(x, 20)[1][:-1]) for x in z.T], axis=1) - 1
  np.testing.assert_array_equal(bin_indices(z), want)


def test_mutual_information_is_that_of_scikit_learn():
  sklearn = pytest.importorskip('sklearn.metrics')
  random = np.random.default_rng(0)
  factors = np.stack([random.integers(k, size=800) for k in COUNTS], axis=1)
  codes = bin_indices(factors @ random.normal(size=(3, 4)) + random.normal(size=(800, 4)))
  tables = binned(codes, factors)
  for j in range(4):
    for f in range(3):
      want = sklearn.mutual_info_score(codes[:, j], factors[:, f])
      assert tables.information[j, f] == pytest.approx(want)
  # A row that counts twice is a row that is there twice.
  weights = random.integers(0, 3, size=800)
  twice = binned(codes.repeat(weights, axis=0), factors.repeat(weights, axis=0))
  weighted = binned(codes, factors, weights)
  np.testing.assert_allclose(weighted.information, twice.information, atol=1e-12)


def test_the_gap_and_modularity_of_a_table_by_hand():
  tables = Tables(np.array([[0.6, 0.1], [0.2, 0.5], [0.0, 0.0]]), np.array([1.0, 2.0]))
  assert mig(tables) == pytest.approx((0.4 / 1 + 0.4 / 2) / 2)
  rows = [1 - (0.1 / 0.6) ** 2, 1 - (0.2 / 0.5) ** 2, 0]
  assert modularity(tables) == pytest.approx(np.mean(rows))
  assert mig(Tables(np.array([[0.5]]), np.array([1.0]))) == pytest.approx(0.5)
  with pytest.raises(ValueError, match='two factors'):
    modularity(Tables(np.array([[0.5]]), np.array([1.0])))


def posteriors(n=300, scale=0.5, seed=0):
  random = np.random.default_rng(seed)
  factors = np.stack([random.integers(k, size=n) for k in (2, 3)], axis=1)
  mean = np.column_stack([3.0 * factors[:, 0], 0.5 * random.normal(size=n)])
  scale = np.full_like(mean, scale)
  q = Gaussian(*map(np.float32, (mean, np.log(scale))))
  z = np.asarray(q.sample(jax.random.key(0)))
  return mean, scale, z, factors


def test_densities_are_means_over_rows():
  mean, scale, z, factors = posteriors(70)
  q = densities(mean, scale, z[:50], factors)
  for s in (0, 31, 32, 49):
    each = norm.logpdf(z[s], mean, scale)
    total, others = each.sum(1), np.arange(70) != s
    assert q.conditional[s] == pytest.approx(total[s], rel=1e-4)
    assert q.joint[s] == pytest.approx(np.log(np.exp(total).mean()), rel=1e-3, abs=1e-4)
    want = np.log(np.exp(total[others]).mean())
    assert q.joint_others[s] == pytest.approx(want, rel=1e-3, abs=1e-4)
    np.testing.assert_allclose(q.marginals[s], np.log(np.exp(each).mean(0)), rtol=1e-3, atol=1e-4)
    for f in range(2):
      same = factors[:, f] == factors[s, f]
      want = np.log(np.exp(each[same]).mean(0))
      np.testing.assert_allclose(q.given[s, :, f], want, rtol=1e-3, atol=1e-4)


def test_the_gap_of_a_known_mixture():
  """z_1 is N(±1.5, 1/4) by the first factor: I = H(z_1) - H(z_1|v), by quadrature. z_2 is noise."""
  mean, scale, z, factors = posteriors(4000)
  tables = gap_tables(densities(mean, scale, z[:2000], factors), factors)
  x = np.linspace(-4, 7, 20_001)
  p = 0.5 * (norm.pdf(x, 0, 0.5) + norm.pdf(x, 3, 0.5))
  want = -np.sum(p * np.log(p)) * (x[1] - x[0]) - 0.5 * np.log(2 * np.pi * np.e * 0.25)
  assert tables.information[0, 0] == pytest.approx(want, abs=0.02)
  assert 0.68 < want < math.log(2)
  assert tables.information[:, 1].max() < 0.01 and tables.information[1, 0] < 0.01
  h = np.log([2, 3])
  np.testing.assert_allclose(tables.entropies, h, rtol=1e-3)
  assert mig(tables) == pytest.approx(want / h[0] / 2, abs=0.02)
