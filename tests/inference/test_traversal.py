"""KL of each latent, moves of one latent alone, and what latents tell of factors."""

from functools import partial

import jax
import numpy as np
import pytest
from given import pictures, small

from vaejax.errors import UserError
from vaejax.inference import traversal


def of(words, n=6):
  run = small(words)
  given = pictures(run, n)
  batch = {'image': run.example.to_data(given.image), **run.conditions(given.fields)}
  program = jax.jit(lambda v, batch, key: traversal.posterior(run.method, v, batch, key))
  return run, batch, program(run.variables, batch, jax.random.key(0))


def test_the_kl_of_each_latent_adds_up_to_that_of_the_method():
  for words in ('vae', 'cvae'):
    run, batch, p = of(words)
    metrics = jax.jit(partial(run.method.metrics, hyper=dict(run.config.hyper)))
    total = metrics(run.variables, batch, jax.random.key(1))
    assert np.allclose(p.kl.sum(axis=1), total['kl'], rtol=1e-4) and p.kl.shape == p.mean.shape


def test_levels_are_one_row_and_a_mixture_has_no_kl_of_each_latent():
  run, _, p = of('iwae:two')
  sizes = [x.shape[1] for x in run.encode(pictures(run, 2).image)]
  assert p.mean.shape == p.scale.shape == p.kl.shape == (6, sum(sizes))
  assert of('vae:prior=mixture,components=3')[2].kl is None


def test_a_posterior_of_other_distributions_is_refused():
  with pytest.raises(UserError, match='diagonal Gaussians'):
    of('m2')


def test_the_kl_to_the_aggregate_gaussian_is_the_information_of_a_gaussian():
  # x ~ N(0, 4), z = x + N(0, 1): I(x; z) = log(5) / 2. A latent that ignores x has none.
  x = 2 * np.random.default_rng(0).normal(size=(100_000, 1))
  mean, scale = np.hstack([x, 0 * x]), np.ones((100_000, 2))
  assert np.allclose(traversal.kl_to_gaussian(mean, scale), [np.log(5) / 2, 0], atol=0.01)


def test_moves_change_one_latent_alone():
  start = (np.zeros((2, 3)), np.ones((2, 2, 1)))
  values = np.array([[7.0, 8.0], [-7.0, -8.0]])
  first, second = traversal.moves(start, values, np.array([1, 4]))
  assert first.shape == (8, 3) and second.shape == (8, 2, 1)
  both = np.concatenate([first, second[..., 0]], axis=1).reshape(2, 2, 2, 5)
  assert both[1, 0].tolist() == [[0, 7, 0, 1, 1], [0, 8, 0, 1, 1]]
  assert both[1, 1].tolist() == [[0, 0, 0, 1, -7], [0, 0, 0, 1, -8]]


def test_shares_of_factors_are_1_for_a_copy_and_0_for_noise():
  random = np.random.default_rng(0)
  factors = random.integers(0, (4, 40), (2000, 2))
  codes = np.stack([factors[:, 0], random.normal(size=2000), factors[:, 1] // 20], axis=1)
  shares = traversal.corrected(codes, factors, 0)
  assert shares[0, 0] > 0.99 and shares[1].max() < 0.02
  # One bit of log2(40), although 40 x 20 cells for 2000 rows would seem to tell more.
  assert shares[2, 1] == pytest.approx(np.log(2) / np.log(40), abs=0.02)
  assert shares[0, 1] < 0.02
