"""Test values are means over the examples that are there, not over the padding."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from vaejax.evals import elbo
from vaejax.types import Method

CONFIG = ConfigDict({'objective': {'samples': 3}})


def measure(dims=0, config=CONFIG):
  """An eval of a method whose metrics are read off the image."""

  def metrics(variables, batch, key, hyper):
    total = jnp.sum(batch['image'], axis=(1, 2, 3))
    return {'kl': total, 'elbo': -hyper['beta'] * total}

  return elbo.make(Method(None, (), None, metrics, {}, dims), config)


def sums(e, image, mask):
  batch = {'image': jnp.asarray(image), 'mask': jnp.asarray(mask, jnp.float32)}
  return e.stats(None, batch, jax.random.key(0), {'beta': jnp.asarray(2.0)})


IMAGES = np.random.default_rng(0).uniform(size=(6, 2, 3, 1)).astype(np.float32)


def test_padded_rows_count_not():
  e = measure()
  whole = e.finish(sums(e, IMAGES, np.ones(6)))
  padded = [sums(e, IMAGES[:4], np.ones(4)), sums(e, IMAGES[[4, 5, 5, 5]], [1, 1, 0, 0])]
  parts = e.finish(jax.tree.map(jnp.add, *padded))
  want = IMAGES.sum((1, 2, 3)).mean()
  assert whole.keys() == parts.keys() == {'kl', 'elbo'}
  assert whole['kl'] == pytest.approx(want, rel=1e-6) == parts['kl']
  assert whole['elbo'] == pytest.approx(-2 * want, rel=1e-6) == parts['elbo']


def test_bits_per_dim_where_the_likelihood_is_discrete():
  e = measure(dims=6)
  found = e.finish(sums(e, IMAGES[[0, 1, 2, 2]], [1, 1, 1, 0]))
  want = 2 * IMAGES[:3].sum() / (3 * 6) / np.log(2)
  assert found['bits_per_dim'] == pytest.approx(want, rel=1e-6)


def test_the_protocol_has_the_number_of_samples_where_there_is_an_objective():
  assert measure().protocol == {'samples': 3}
  assert measure(config=ConfigDict()).protocol == {}
