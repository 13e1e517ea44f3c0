"""Squares of pixels as features."""

import jax.numpy as jnp
import numpy as np

from vaejax.nets import depth


def test_squares_of_pixels_are_features_and_back():
  x = jnp.arange(2 * 4 * 6 * 3, dtype=jnp.float32).reshape(2, 4, 6, 3)
  deep = depth.to_depth(x, 2)
  assert deep.shape == (2, 2, 3, 12)
  np.testing.assert_array_equal(deep[0, 1, 2, :3], x[0, 2, 4])
  np.testing.assert_array_equal(deep[0, 1, 2, 9:], x[0, 3, 5])
  np.testing.assert_array_equal(depth.from_depth(deep, 2), x)
