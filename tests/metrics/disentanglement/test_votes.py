"""The β-VAE and the FactorVAE score, on codes whose scores are known."""

import numpy as np
import pytest

from vaejax.metrics.disentanglement.votes import (
  beta_vae_score,
  draw,
  factor_vae_score,
  groups,
)

COUNTS = 4, 5, 3
SCORES = pytest.mark.parametrize('score', [factor_vae_score, beta_vae_score])


@pytest.fixture(scope='module')
def factors():
  random = np.random.default_rng(0)
  return np.stack([random.integers(k, size=3000) for k in COUNTS], axis=1)


def value(score, codes, factors, train=600, test=300):
  return score(np.float64(codes), groups(factors), np.random.default_rng(1), train, test)


def test_rows_of_a_vote_share_the_fixed_factor(factors):
  fixed, rows = draw(groups(factors), np.random.default_rng(0), 3000, 7)
  shared = factors[rows, fixed[:, None]]
  assert (shared == shared[:, :1]).all()
  np.testing.assert_allclose(np.bincount(fixed) / 3000, 1 / 3, atol=0.04)
  for f, count in enumerate(COUNTS):
    values = np.bincount(shared[fixed == f, 0]) / (fixed == f).sum()
    np.testing.assert_allclose(values, 1 / count, atol=0.06)
    other = factors[rows[fixed != f], f]  # varies within a vote
    assert (other != other[:, :1]).any(axis=1).mean() > 0.9


def test_values_with_one_row_are_not_fixed():
  factors = np.array([[0, 0], [1, 0], [1, 1], [1, 1], [1, 1]])
  fixed, rows = draw(groups(factors), np.random.default_rng(0), 200, 4)
  assert (rows[fixed == 0] > 0).all()
  with pytest.raises(ValueError, match='has 2 rows'):
    groups(np.array([[0, 0], [1, 0]]))


@SCORES
def test_a_perfect_code(score, factors):
  pytest.importorskip('sklearn')
  assert value(score, factors[:, ::-1] * [1, 10, 100.0], factors) == 1
  # With noise latents beside it, and one that is constant.
  noise = np.random.default_rng(2).normal(size=(3000, 2))
  codes = np.column_stack([factors, noise, np.ones(3000)])
  assert value(score, codes, factors) > 0.98


@SCORES
def test_noise_is_chance(score, factors):
  pytest.importorskip('sklearn')
  noise = np.random.default_rng(2).normal(size=(3000, 4))
  assert value(score, noise, factors) < 1 / 3 + 0.12
  assert value(score, np.ones((3000, 2)), factors) < 1 / 3 + 0.12


def test_a_latent_votes_for_one_factor(factors):
  """Without a latent for the third factor, its votes are guesses of latents for the other two."""
  found = value(factor_vae_score, factors[:, :2], factors)
  assert 2 / 3 - 0.06 < found < 0.73


def test_a_rotated_code_is_less_modular(factors):
  centred = factors - factors.mean(axis=0)
  turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
  assert value(factor_vae_score, centred @ turn, factors) < 0.95
