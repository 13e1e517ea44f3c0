"""Distributions of pictures of which a part is known."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from vaejax.distributions import Gaussian
from vaejax.nets.completed import Known


def test_what_is_known_is_certain():
  x, known = jnp.array([[0.25, 0.1]]), jnp.array([[True, False]])
  inner = Gaussian(jnp.array([[5.0, 2.0]]), jnp.zeros((1, 2)))
  p = Known(inner, x, known)
  np.testing.assert_array_equal(p.mean, [[0.25, 2.0]])
  drawn = jax.vmap(p.sample)(jax.random.split(jax.random.key(0), 100))
  assert (drawn[:, 0, 0] == x[0, 0]).all() and np.std(drawn[:, 0, 1]) > 0.5
  # The density of the rest, given what is known.
  np.testing.assert_allclose(p.total_log_prob(x), stats.norm(2, 1).logpdf([0.1]), rtol=1e-5)
