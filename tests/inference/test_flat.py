"""Latents as a matrix and back."""

import numpy as np
import pytest

from vaejax.errors import UserError
from vaejax.inference.flat import flatten


def test_latents_survive_being_a_matrix():
  random = np.random.default_rng(0)
  z = random.normal(size=(4, 3)).astype(np.float32), random.normal(size=(4, 2, 2, 5))
  flat, restore = flatten(z)
  assert flat.shape == (4, 23)
  for a, b in zip(z, restore(flat), strict=True):
    np.testing.assert_array_equal(a, b)


def test_codes_have_nothing_between_them():
  with pytest.raises(UserError, match='are codes'):
    flatten(np.zeros((4, 3), np.int32))
