"""The data's random bits are JAX's own."""

import jax
import numpy as np
import pytest

from vaejax.data.device.noise import bits


@pytest.mark.parametrize('n', [1, 2, 7, 784])
def test_bits_are_those_of_jax(n):
  keys = jax.random.split(jax.random.key(5, impl='threefry2x32'), 9)
  want = jax.vmap(lambda key: jax.random.bits(key, (n,)))(keys)
  assert np.array_equal(jax.jit(bits, static_argnums=1)(keys, n), want)
