"""Paths through latent space: linear and spherical ones, between two or many points.

Latents are a pytree of arrays whose first axis is the points; of a tuple, each array has a path of
its own.
"""

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.lookup import choice

FLAT = 1e-4  # sine of the angle below which an arc is indistinguishable from a straight line


def lerp(a: jax.Array, b: jax.Array, t: jax.Array, centre=0.0) -> jax.Array:
  """The points (1 - t) a + t b, [B, ...] for t [B]. `centre` has no effect."""
  t = _like(t, a)
  return (1 - t) * a + t * b


def slerp(a: jax.Array, b: jax.Array, t: jax.Array, centre=0.0) -> jax.Array:
  """Points of the arc from a to b around `centre`, [B, ...] for t [B] (Shoemake 1985).

  With θ the angle between a and b it is (sin (1 - t)θ a + sin tθ b) / sin θ, also where their norms
  differ (White 2016, arXiv:1609.04468, section 2.1), so the norm stays near those of the ends where
  the chord would pass closer to the centre. Each example is one vector. Parallel and opposite
  vectors, which have no arc of their own, are joined by the chord.
  """
  a, b, t = a - centre, b - centre, _like(t, a)
  axes = tuple(range(1, a.ndim))
  inner = lambda x, y: jnp.sum(x * y, axis=axes, keepdims=True)
  norms = jnp.sqrt(inner(a, a) * inner(b, b))
  cosine = jnp.clip(inner(a, b) / jnp.where(norms > 0, norms, 1.0), -1.0, 1.0)
  angle = jnp.arccos(cosine)
  sine = jnp.sin(angle)
  arc = (jnp.sin((1 - t) * angle) * a + jnp.sin(t * angle) * b) / jnp.where(sine > FLAT, sine, 1.0)
  chord = (1 - t) * a + t * b
  return centre + jnp.where((sine > FLAT) & (norms > 0), arc, chord)


KINDS = {'linear': lerp, 'spherical': slerp}


def between(a, b, steps: int, kind: str = 'linear', centre=None, ease: bool = False):
  """Paths from each a to its b with `steps` points, both ends too: [N, ...] -> [N, steps, ...].

  Args:
    kind: 'linear' or 'spherical'.
    centre: of the arcs, in the structure of a without its first axis; None: 0.
    ease: start and end slowly, at the times (1 - cos πt) / 2.
  """
  step = choice('path', kind, KINDS)
  t = np.linspace(0.0, 1.0, steps, dtype=np.float32)
  t = (1 - np.cos(np.pi * t)) / 2 if ease else t

  def of_leaf(a, b, c):
    n = a.shape[0]
    start, end = (jnp.repeat(jnp.asarray(x), steps, axis=0) for x in (a, b))
    return step(start, end, jnp.tile(t, n), c).reshape(n, steps, *a.shape[1:])

  centres = jax.tree.map(lambda x: jnp.zeros(x.shape[1:]), a) if centre is None else centre
  return jax.tree.map(of_leaf, a, b, centres)


def through(
  points, steps: int, kind: str = 'linear', centre=None, closed: bool = False, ease: bool = False
):
  """One path through P points in order, `steps` frames from each to the next: [P, ...] ->
  [(P - 1) steps + 1, ...].

  `closed` continues from the last point to the first, [P steps, ...]: the path that repeats without
  a jump, because its first frame follows its last. `ease`: see `between`.
  """
  shifted = lambda x: jnp.roll(jnp.asarray(x), -1, axis=0)
  parts = between(points, jax.tree.map(shifted, points), steps + 1, kind, centre, ease)

  def join(part, point):
    part = part[:, :-1]
    if closed:
      return part.reshape(-1, *part.shape[2:])
    return jnp.concatenate([part[:-1].reshape(-1, *part.shape[2:]), jnp.asarray(point)[-1:]])

  return jax.tree.map(join, parts, points)


def _like(t, x: jax.Array) -> jax.Array:
  """t [B] with the rank of x."""
  return jnp.reshape(t, (-1, *[1] * (x.ndim - 1)))
