"""When rows, tests and checkpoints are due, and what a snapshot of the state is."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.training.boundary import take_snapshot
from vaejax.training.setup import Cadence
from vaejax.types import State, Variables


def test_chunks_end_at_every_boundary_wherever_the_run_resumes():
  cadence = Cadence(steps=100, log=30, test=0, save=50)
  expected = [30, 50, 60, 90, 100]
  for start in range(100):
    boundaries, step = [], start
    while step < 100:
      step = cadence.next_boundary(step)
      boundaries.append(step)
    assert boundaries == [s for s in expected if s > start]


@pytest.mark.parametrize(
  ('step', 'every', 'expected'),
  [(10, 5, True), (11, 5, False), (11, 0, False), (100, 0, True), (100, 7, True)],
)
def test_is_due(step, every, expected):
  assert Cadence(steps=100, log=1, test=1, save=1).is_due(step, every) is expected


def state(value):
  variables = Variables({'net': {'w': jnp.asarray(value, jnp.float32)}}, {})
  return State(jnp.int32(1), jax.random.key(0), variables, {}, None, {'lr': jnp.float32(1)})


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
def test_a_snapshot_shows_non_finite_values(bad):
  assert bool(take_snapshot(state([1.0, 2.0]))[1])
  assert not bool(take_snapshot(state([1.0, bad]))[1])


def test_a_snapshot_outlives_its_original():
  original = state([1.0, 2.0])
  copy, _ = take_snapshot(original)
  jax.jit(lambda s: jax.tree.map(lambda x: x * 0, s.variables), donate_argnums=0)(original)
  np.testing.assert_array_equal(copy.variables.params['net']['w'], [1.0, 2.0])
