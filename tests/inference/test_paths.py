"""Paths: closed forms of the chord and of the arc, loops without a jump, tuples of latents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.errors import UserError
from vaejax.inference import paths


def points(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_an_arc_of_unit_vectors_turns_evenly():
  a, b = np.eye(2, dtype=np.float32)
  t = np.linspace(0, 1, 7, dtype=np.float32)
  arc = paths.slerp(np.tile(a, (7, 1)), np.tile(b, (7, 1)), t)
  expected = np.stack([np.cos(t * np.pi / 2), np.sin(t * np.pi / 2)], axis=-1)
  assert np.allclose(arc, expected, atol=1e-6)


def test_an_arc_keeps_the_norm_and_its_ends_which_a_chord_does_not():
  a, b = (
    x / np.linalg.norm(x, axis=1, keepdims=True) for x in (points(5, 9), points(5, 9, seed=1))
  )
  arc, chord = (paths.between(3 * a, 3 * b, 9, kind) for kind in ('spherical', 'linear'))
  assert np.allclose(np.linalg.norm(arc, axis=-1), 3, rtol=1e-5)
  assert (np.linalg.norm(chord, axis=-1)[:, 4] < 2.9).all()
  for path in (arc, chord):
    assert np.allclose(path[:, 0], 3 * a, atol=1e-5) and np.allclose(path[:, -1], 3 * b, atol=1e-5)
  # Equal steps: the angle between neighbours is that of the ends, divided by 8.
  cosine = np.sum(arc[:, 1:] * arc[:, :-1], axis=-1) / 9
  angle = np.arccos(np.sum(a * b, axis=1))
  assert np.allclose(np.arccos(cosine), angle[:, None] / 8, atol=1e-3)


def test_an_arc_of_other_norms_is_that_of_white():
  a, b = points(1, 4), 2 * points(1, 4, seed=1)
  cosine = np.sum(a * b) / np.linalg.norm(a) / np.linalg.norm(b)
  angle = np.arccos(cosine)
  expected = (np.sin(0.7 * angle) * a + np.sin(0.3 * angle) * b) / np.sin(angle)
  assert np.allclose(paths.slerp(a, b, np.array([0.3], np.float32)), expected, atol=1e-5)


def test_parallel_opposite_and_zero_vectors_are_joined_by_the_chord():
  a, half = points(1, 6), np.array([0.25], np.float32)
  for b in (2 * a, a, -a, 0 * a):
    assert np.allclose(paths.slerp(a, b, half), 0.75 * a + 0.25 * b, atol=1e-5)
    assert np.allclose(paths.slerp(b, a, half), 0.75 * b + 0.25 * a, atol=1e-5)


def test_an_arc_around_a_centre_is_moved_with_it():
  a, b, c, t = points(2, 6), points(2, 6, seed=1), points(6, seed=2), np.full(2, 0.4, np.float32)
  assert np.allclose(paths.slerp(a + c, b + c, t, c), paths.slerp(a, b, t) + c, atol=1e-5)


def test_maps_are_one_vector_and_tuples_have_a_path_each():
  a, b = points(3, 2, 2, 5), points(3, 2, 2, 5, seed=1)
  flat = paths.between(a.reshape(3, -1), b.reshape(3, -1), 4, 'spherical')
  both = paths.between((a, 7 * a), (b, 7 * b), 4, 'spherical')
  assert both[0].shape == (3, 4, 2, 2, 5)
  assert np.allclose(both[0].reshape(3, 4, -1), flat, atol=1e-5)
  assert np.allclose(both[1], 7 * both[0], atol=1e-4)


def test_a_path_passes_through_its_points_and_a_closed_one_has_no_jump():
  z = points(3, 2)
  path = paths.through(z, 4)
  assert path.shape == (9, 2) and np.allclose(path[::4], z, atol=1e-6)
  loop = np.asarray(paths.through(z, 4, closed=True))
  assert loop.shape == (12, 2) and np.allclose(loop[::4], z, atol=1e-6)
  # From the last frame to the first is a step like those before it.
  assert np.allclose(loop[0] - loop[-1], (z[0] - z[2]) / 4, atol=1e-6)
  tree = paths.through({'a': z}, 4, 'spherical', closed=True)
  assert jax.tree.map(jnp.shape, tree) == {'a': (12, 2)}


def test_an_unknown_kind_is_one_line():
  with pytest.raises(UserError, match="did you mean 'spherical'"):
    paths.between(points(2, 2), points(2, 2), 3, 'sperical')
