"""Random bits for the data: the same as those of jax.random, and several times as fast on a CPU."""

import jax
import jax.numpy as jnp
import numpy as np

ROTATIONS = (13, 15, 26, 6), (17, 29, 16, 24)


def threefry(first, second, x, y):
  """Threefry-2x32 with 20 rounds (Salmon et al. 2011): two arrays of bits, from the two words of a
  key and the two of a counter. All arrays are uint32, of numpy or jax."""
  schedule = first, second, first ^ second ^ np.uint32(0x1BD11BDA)
  x, y = x + first, y + second
  for i in range(5):
    for rotation in ROTATIONS[i % 2]:
      x = x + y
      y = x ^ ((y << rotation) | (y >> (32 - rotation)))
    x = x + schedule[(i + 1) % 3]
    y = y + schedule[(i + 2) % 3] + np.uint32(i + 1)
  return x, y


def bits(keys: jax.Array, n: int) -> jax.Array:
  """jax.random.bits(key, (n,)) for each of the threefry keys [N]: uint32 [N, n], on the counters 0
  to n - 1.

  On a CPU, JAX runs the rounds in a loop, which writes every round to memory. For the pixels of a
  batch that took an eighth of the training step of a small net. XLA fuses the unrolled rounds.
  """
  words = jax.random.key_data(keys).astype(jnp.uint32)
  x, y = threefry(words[:, :1], words[:, 1:2], np.uint32(0), jnp.arange(n, dtype=jnp.uint32))
  return x ^ y


def uniform(keys: jax.Array, count: int) -> jax.Array:
  """Uniform float32 [N, count] in [0, 1) for each of the keys [N]."""
  return (bits(keys, count) >> 8).astype(jnp.float32) / 2**24
