"""What a trained run computes, compiled once a shape: any number of examples, so many at a time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.latent import log_likelihood
from vaejax.types import Batch, Example, Method, Variables

AT_ONCE = 256  # images, or frames of videos
# Of importance sampling: examples at once, and of each so many draws.
SCORED, DRAWS = 16, 128


def in_batches(program: Callable[..., Any], rows: Batch, n: int, size: int) -> Any:
  """What program(rows, index) gives of n rows, on the host.

  It is given `size` rows at a time, the last ones filled up with zeros, and their numbers: so it is
  compiled once, and what it gives of a row does not depend on how many there are.
  """
  parts = []
  for first in range(0, max(n, 1), size):
    part = {name: filled(x[first : first + size], size) for name, x in rows.items()}
    parts.append(jax.device_get(program(part, np.arange(first, first + size))))
  return jax.tree.map(lambda *parts: np.concatenate(parts)[:n], *parts)


def filled(x: Any, size: int) -> Any:
  """Arrays of `size` rows, zeros behind those that there are; of every leaf."""
  pad = lambda x: np.pad(x, [(0, size - len(x)), *[(0, 0)] * (x.ndim - 1)])
  return jax.tree.map(pad, x)


def make(method: Method, example: Example) -> dict[str, Callable[..., Any]]:
  """The programs that a method has, by name: 'encode', 'draw', 'decode', 'reconstruct', 'sample',
  'log_prob', 'translate', 'classify'.

  Each is jitted, (variables, rows, index, key, ...) -> arrays [B, ...]. Images are as users have
  them, on both sides. What is drawn of row i depends on the key and on its index alone.
  """
  data, predict = example.data, method.predict
  fields = data, 'style_image'

  def inward(rows: Batch) -> Batch:
    return {name: example.to_data(x) if name in fields else x for name, x in rows.items()}

  def outward(found: Batch) -> jax.Array:
    return example.to_unit(found[data]).astype(jnp.float32)

  def alone(v: Variables, rows: Batch, index, key: jax.Array, look: Callable[..., Any]):
    """look(batch of one, key) of every row, each with a key of its own."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
    row = lambda row, key: look(jax.tree.map(lambda x: x[None], row), key)
    return jax.tree.map(lambda x: x[:, 0], jax.vmap(row)(inward(rows), keys))

  def encode(v, rows, index, key):
    return predict['encode'](v, inward(rows), key)['mean']

  def draw(v, rows, index, key):
    return alone(v, rows, index, key, lambda one, key: predict['encode'](v, one, key)['latents'])

  def decode(v, rows, index, key):
    return outward(predict['decode'](v, rows, key))

  def reconstruct(v, rows, index, key):
    return outward(predict['reconstruct'](v, inward(rows), key))

  def translate(v, rows, index, key):
    return outward(predict['translate'](v, inward(rows), key))

  def classify(v, rows, index, key):
    return predict['classify'](v, inward(rows), key)['probability']

  def log_prob(v, rows, index, key, samples):
    def look(one, key):
      weight = lambda key: predict['log_weight'](v, one, key)['log_weight']
      return log_likelihood(weight, samples, min(samples, DRAWS), key)

    return alone(v, rows, index, key, look)

  def sample(v, rows, index, key, temperature, draw):
    key, given = jax.random.fold_in(key, index[0] // len(index)), inward(rows)
    settings = {'temperature': temperature, 'draw': draw}
    return outward(method.sample(v, key, len(index), given, **settings))

  programs = {'encode': encode, 'decode': decode, 'reconstruct': reconstruct}
  programs |= {'translate': translate, 'classify': classify}
  programs = {name: program for name, program in programs.items() if name in predict}
  programs |= {'draw': draw} if 'encode' in predict else {}
  programs |= {'log_prob': log_prob} if 'log_weight' in predict else {}
  programs |= {'sample': sample} if method.sample else {}
  statics = {'log_prob': 'samples', 'sample': 'draw'}
  return {name: compiled(fn, statics.get(name)) for name, fn in programs.items()}


def compiled(program: Callable[..., Any], static: str | None) -> Callable[..., Any]:
  """The program jitted, with products in full precision, which accelerators else round."""

  def exact(*args, **settings):
    with jax.default_matmul_precision('highest'):
      return program(*args, **settings)

  return jax.jit(exact, static_argnames=static)
