"""The order of examples: a keyed permutation for each epoch, computed per index without a table.

A Feistel network permutes the pairs (left, right) of Z_side x Z_side, where side² is the smallest
square that is at least the size. It is applied again to values beyond the size until they are below
it (cycle walking, Black & Rogaway 2002, "Ciphers with arbitrary finite domains", method 2). The
same code runs on the host (numpy) and on the device (jax), so streamed and resident runs have the
same batches.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

ROUNDS = 6


def mix(x):
  """The finaliser of MurmurHash3, uint32 -> uint32. Every bit depends on every bit."""
  x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
  x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
  return x ^ (x >> 16)


def shuffle(words, epoch, x, side: int):
  """One pass of the network over x < side². All arrays are uint32, of numpy or jax."""
  side = np.uint32(side)
  left, right = x // side, x % side
  # Mixed before they are combined, because the keys of seeds 0 and 1 differ by one, like two
  # epochs.
  key = mix(words[0] ^ mix(words[1] ^ mix(epoch)))
  for i in range(ROUNDS):
    noise = mix(right ^ mix(key + np.uint32(0x9E3779B9 * (i + 1) % 2**32)))
    left, right = right, (left + noise % side) % side
  return left * side + right


def split(position, size: int):
  """The epoch and the position in it, uint32, of a position in the infinite sequence of
  examples."""
  return position // np.uint32(size), position % np.uint32(size)


def order(key: jax.Array, position: jax.Array, size: int) -> jax.Array:
  """The example at each position [N] (uint32) of a run: int32 [N]. Each epoch is a permutation."""
  side = math.isqrt(size - 1) + 1
  words = jax.random.key_data(key).astype(jnp.uint32).ravel()
  epoch, place = split(position, size)

  def walk(x):
    return jnp.where(x < size, x, shuffle(words, epoch, x, side))

  index = jax.lax.while_loop(lambda x: jnp.any(x >= size), walk, shuffle(words, epoch, place, side))
  return index.astype(jnp.int32)


def host_order(words: np.ndarray, position: np.ndarray, size: int) -> np.ndarray:
  """`order` in numpy, for streams that are read on the host. `words` is the key's data, uint32
  [2]."""
  side = math.isqrt(size - 1) + 1
  words = [np.asarray([word], np.uint32) for word in np.ravel(words)]
  epoch, place = split(np.asarray(position, np.uint32), size)
  index = shuffle(words, epoch, place, side)
  while np.any(outside := index >= size):
    index = np.where(outside, shuffle(words, epoch, index, side), index)
  return index.astype(np.int32)
