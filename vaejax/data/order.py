"""The order of examples: a keyed permutation of every epoch, evaluated per index, without a table.

A Feistel network on pairs (left, right) of Z_side x Z_side, where side² is just above the size;
values beyond the size walk on along their cycle until they fall inside (Black & Rogaway 2002,
"Ciphers with arbitrary finite domains", method 2). The same code runs on the host (numpy) and on
the device (jax), so a streamed run sees the batches of a resident one.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

ROUNDS = 6


def mix(x):
  """MurmurHash3's finaliser: uint32 -> uint32, every bit depends on every bit."""
  x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
  x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
  return x ^ (x >> 16)


def shuffle(words, epoch, x, side: int):
  """One pass of the network over x < side²; all arrays uint32, of numpy or of jax."""
  side = np.uint32(side)
  left, right = x // side, x % side
  # Mixed before it meets the key: the keys of seeds 0 and 1 differ by one, as do two epochs.
  key = mix(words[0] ^ mix(words[1] ^ mix(epoch)))
  for i in range(ROUNDS):
    noise = mix(right ^ mix(key + np.uint32(0x9E3779B9 * (i + 1) % 2**32)))
    left, right = right, (left + noise % side) % side
  return left * side + right


def split(position, size: int):
  """Position in the endless run of examples -> epoch and place in it, uint32."""
  return position // np.uint32(size), position % np.uint32(size)


def order(key: jax.Array, position: jax.Array, size: int) -> jax.Array:
  """The example at each position [N] (uint32) of a run: int32 [N], every epoch a permutation."""
  side = math.isqrt(size - 1) + 1
  words = jax.random.key_data(key).astype(jnp.uint32).ravel()
  epoch, place = split(position, size)

  def walk(x):
    return jnp.where(x < size, x, shuffle(words, epoch, x, side))

  index = jax.lax.while_loop(lambda x: jnp.any(x >= size), walk, shuffle(words, epoch, place, side))
  return index.astype(jnp.int32)


def host_order(words: np.ndarray, position: np.ndarray, size: int) -> np.ndarray:
  """`order` in numpy, for the host that reads a stream; `words` is the key's data, uint32 [2]."""
  side = math.isqrt(size - 1) + 1
  words = [np.asarray([word], np.uint32) for word in np.ravel(words)]
  epoch, place = split(np.asarray(position, np.uint32), size)
  index = shuffle(words, epoch, place, side)
  while np.any(outside := index >= size):
    index = np.where(outside, shuffle(words, epoch, index, side), index)
  return index.astype(np.int32)
