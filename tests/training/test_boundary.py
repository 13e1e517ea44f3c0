import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.training import boundary, cadence
from vaejax.types import State, Variables


def config(steps=100, log=30, save=50, test=0, best=''):
  return SimpleNamespace(
    steps=steps,
    eval=SimpleNamespace(log_every=log, every=test),
    checkpoint=SimpleNamespace(every=save, best=best),
  )


def test_chunks_end_at_every_mark_wherever_the_run_was_taken_up():
  expected = [30, 50, 60, 90, 100]
  for start in range(100):
    stops, step = [], start
    while step < 100:
      step = cadence.next_stop(config(), step)
      stops.append(step)
    assert stops == [s for s in expected if s > start]


@pytest.mark.parametrize(
  ('step', 'every', 'expected'),
  [(10, 5, True), (11, 5, False), (11, 0, False), (100, 0, True), (100, 7, True)],
)
def test_due(step, every, expected):
  assert cadence.due(step, every, 100) is expected


def state(value):
  variables = Variables({'net': {'w': jnp.asarray(value, jnp.float32)}}, {})
  return State(jnp.int32(1), jax.random.key(0), variables, {}, None, {'lr': jnp.float32(1)})


@pytest.mark.parametrize('bad', [math.nan, math.inf, -math.inf])
def test_a_snapshot_sees_what_is_not_finite(bad):
  assert bool(cadence.snapshot(state([1.0, 2.0]))[1])
  assert not bool(cadence.snapshot(state([1.0, bad]))[1])


def test_a_snapshot_outlives_its_original():
  original = state([1.0, 2.0])
  copy, _ = cadence.snapshot(original)
  jax.jit(lambda s: jax.tree.map(lambda x: x * 0, s.variables), donate_argnums=0)(original)
  np.testing.assert_array_equal(copy.variables.params['net']['w'], [1.0, 2.0])


def settler(size=10, validation=None, **fields):
  """A Settler whose passes are names, to see what `start` asks for."""
  made = object.__new__(boundary.Settler)
  made.config = config(**fields)
  made.setup = SimpleNamespace(schedules={}, validation=validation, test=SimpleNamespace(size=10))
  made.watch, made.size = SimpleNamespace(start=lambda *args: 'sums'), size
  made.pictures = lambda *args: 'pictures'
  return made


@pytest.mark.parametrize(
  ('fields', 'step', 'saved', 'tested'),
  [
    ({}, 30, False, False),
    ({}, 50, True, False),
    ({'test': 60}, 60, False, True),
    ({'test': 60, 'best': 'elbo'}, 60, True, True),
    ({'test': 60}, 100, True, True),
    # At the end a pass over all of test follows; over part of it none is made beside it.
    ({'test': 60, 'size': 5}, 100, True, False),
    ({'test': 50, 'size': 5}, 100, True, True),
    ({'test': 60, 'size': 5, 'validation': 'some'}, 100, True, True),
  ],
)
def test_what_a_boundary_asks_for(fields, step, saved, tested):
  left = settler(**fields).start(step, {}, state([1.0]))
  assert (left.saved is not None, left.test is not None) == (saved, tested)
