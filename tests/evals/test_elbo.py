"""Test values are means over the examples that are there, not over the padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict
from run_eval import example_of, values, with_errors

from vaejax.evals import elbo
from vaejax.types import Method, Variables

FIELDS = {'objective': {'samples': 3}, 'hyper': {'beta': 2.0}, 'eval': {'elbo': {'draws': 2}}}
CONFIG = ConfigDict(FIELDS)


def measure(dims=0, config=CONFIG):
  """An eval of a method whose metrics are read off the image."""

  def metrics(variables, batch, key, hyper):
    total = jnp.sum(batch['image'], axis=(1, 2, 3))
    return {'kl': total, 'elbo': -hyper['beta'] * total}

  init = lambda key, batch: Variables({}, {})
  return elbo.make(Method(init, (), None, metrics, {}, dims), config, example_of((2, 3, 1)))


def batch(image, mask):
  return {'image': jnp.asarray(image), 'mask': jnp.asarray(mask, jnp.float32)}


HYPER = {'beta': jnp.asarray(2.0)}


IMAGES = np.random.default_rng(0).uniform(size=(6, 2, 3, 1)).astype(np.float32)


def test_padded_rows_count_not():
  e = measure()
  whole = values(e, hyper=HYPER, test=batch(IMAGES, np.ones(6)))
  padded = [batch(IMAGES[:4], np.ones(4)), batch(IMAGES[[4, 5, 5, 5]], [1, 1, 0, 0])]
  parts = values(e, hyper=HYPER, test=padded)
  want = IMAGES.sum((1, 2, 3)).mean()
  assert whole.keys() == parts.keys() == {'kl', 'elbo'}
  assert whole['kl'] == pytest.approx(want, rel=1e-6) == parts['kl']
  assert whole['elbo'] == pytest.approx(-2 * want, rel=1e-6) == parts['elbo']


def test_bits_per_dim_where_the_likelihood_is_discrete():
  e = measure(dims=6)
  found = with_errors(e, hyper=HYPER, test=batch(IMAGES[[0, 1, 2, 2]], [1, 1, 1, 0]))
  want = 2 * IMAGES[:3].sum() / (3 * 6) / np.log(2)
  assert found['bits_per_dim'][0] == pytest.approx(want, rel=1e-6)
  assert found['bits_per_dim'][1] == pytest.approx(found['elbo'][1] / 6 / np.log(2))


def test_errors_are_those_of_a_mean():
  found = with_errors(measure(), hyper=HYPER, test=batch(IMAGES, np.ones(6)))
  each = IMAGES.sum((1, 2, 3))
  assert found['kl'][1] == pytest.approx(each.std(ddof=1) / np.sqrt(6), rel=1e-5)
  one = with_errors(measure(), hyper=HYPER, test=batch(IMAGES[:1], np.ones(1)))
  assert one['kl'][:2] == (pytest.approx(each[0]), None)


def test_names_are_known_without_a_pass():
  assert set(measure(dims=6).names()) == {'kl', 'elbo', 'bits_per_dim'}


def test_the_protocol_has_the_number_of_samples_where_there_is_an_objective():
  assert measure().protocol == {'draws': 2, 'samples': 3}
  config = {'hyper': {}, 'eval': {'elbo': {'draws': 5}}}
  assert measure(config=ConfigDict(config)).protocol == {'draws': 5}


def noisy(draws):
  """An eval of a method whose metric is the sum of an image plus a normal draw."""

  def metrics(variables, batch, key, hyper):
    total = jnp.sum(batch['image'], axis=(1, 2, 3))
    return {'kl': total, 'elbo': total + jax.random.normal(key, total.shape)}

  init = lambda key, batch: Variables({}, {})
  config = ConfigDict({'hyper': {}, 'eval': {'elbo': {'draws': draws}}})
  return elbo.make(Method(init, (), None, metrics, {}), config, example_of((2, 3, 1)))


@pytest.mark.parametrize('draws', [2, 10])
def test_the_error_of_draws_is_the_spread_over_seeds(draws):
  rows = jnp.tile(IMAGES, (20, 1, 1, 1))
  keys = [jax.random.key(seed) for seed in range(200)]
  made, rows = noisy(draws), batch(rows, np.ones(120))
  found = [with_errors(made, test=rows, key=key) for key in keys]
  spread = 1 / np.sqrt(draws * 120)
  assert np.std([f['elbo'].value for f in found]) == pytest.approx(spread, rel=0.2)
  assert np.mean([f['elbo'].draws_error for f in found]) == pytest.approx(spread, rel=0.05)
  each = IMAGES.sum((1, 2, 3))
  error = np.sqrt(each.var() / 120 + spread**2)  # over examples and draws
  assert np.mean([f['elbo'].error for f in found]) == pytest.approx(error, rel=0.05)
  assert found[0]['kl'].draws_error == 0
