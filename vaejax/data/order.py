"""The order of examples: a keyed permutation for each epoch, computed per index without a table.

A Feistel network permutes the pairs (left, right) of Z_side x Z_side, where side² is the smallest
square that is at least the size. It is applied again to values beyond the size until they are below
it (cycle walking, Black & Rogaway 2002, "Ciphers with arbitrary finite domains", method 2). The
same code runs on the host (numpy) and on the device (jax), so streamed and resident runs have the
same batches. Few rows are shuffled by sorting random numbers, because the network is not uniform
over their permutations.

A position in the infinite sequence of examples may exceed 32 bits, and JAX has no 64-bit integers
by default. So positions and epochs are pairs of uint32 words, the high one first.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.data.device.noise import threefry

ROUNDS = 6
MIN_NETWORK_ROWS = 128  # fewer rows are shuffled by sorting

Words = tuple[jax.Array, jax.Array]


def word(size):
  """A size below 2^31, an int or a jax array, as uint32."""
  return size.astype(jnp.uint32) if isinstance(size, jax.Array) else np.uint32(size)


def side_of(size):
  """The side of the smallest square of at least `size` points; `size` is an int or a jax array."""
  if not isinstance(size, jax.Array):
    return math.isqrt(size - 1) + 1
  last = word(size) - 1
  root = jnp.sqrt(last.astype(jnp.float32)).astype(jnp.uint32)  # off by one at most
  root = root - (root * root > last).astype(jnp.uint32)
  return root + ((root + 1) * (root + 1) <= last).astype(jnp.uint32) + 1


def mix(x):
  """The finaliser of MurmurHash3, uint32 -> uint32. Every bit depends on every bit; 0 gives 0."""
  x = (x ^ (x >> 16)) * np.uint32(0x85EBCA6B)
  x = (x ^ (x >> 13)) * np.uint32(0xC2B2AE35)
  return x ^ (x >> 16)


def shuffle(words, epoch, x, side):
  """One pass of the network over x < side². All arrays are uint32, of numpy or jax."""
  side, (high, low) = word(side), epoch
  left, right = x // side, x % side
  # Mixed before they are combined, because the keys of seeds 0 and 1 differ by one, like two
  # epochs.
  key = mix(words[0] ^ mix(words[1] ^ mix(low ^ mix(high))))
  for i in range(ROUNDS):
    noise = mix(right ^ mix(key + np.uint32(0x9E3779B9 * (i + 1) % 2**32)))
    left, right = right, (left + noise % side) % side
  return left * side + right


def sort_keys(words, epoch, size: int, xp):
  """Two random uint32 [E, size] of the rows in each of the epochs [E], by which they are sorted."""
  first, second = (w[:, None] for w in threefry(words[0], words[1], *epoch))
  row = xp.arange(size, dtype=xp.uint32)[None]
  return threefry(first, second, xp.zeros_like(row), row)


def add(words: Words, x) -> Words:
  """The sum of a pair of words and x (uint32)."""
  high, low = words
  total = low + x
  return high + (total < low).astype(jnp.uint32), total


def multiply(a, b: int) -> Words:
  """The product of a (uint32) and b < 2^32, as a pair of words."""
  a_high, a_low = a >> 16, a & 0xFFFF
  b_high, b_low = np.uint32(b >> 16), np.uint32(b & 0xFFFF)
  result = a_high * b_high, a_low * b_low
  for middle in (a_high * b_low, a_low * b_high):
    high, low = add(result, middle << 16)
    result = high + (middle >> 16), low
  return result


def divide(words: Words, size) -> tuple[Words, jax.Array]:
  """The quotient, a pair of words, and the remainder of a pair of words and a size < 2^31."""
  (high, low), size = words, word(size)
  rest, quotient = high % size, jnp.zeros_like(low)
  for i in reversed(range(32)):  # long division of (rest, low), bit by bit
    rest = (rest << 1) | ((low >> i) & 1)
    fits = rest >= size
    rest = jnp.where(fits, rest - size, rest)
    quotient = (quotient << 1) | fits.astype(jnp.uint32)
  return (high // size, quotient), rest


def first_position(step: jax.Array, n: int, number=0, parts: int = 1) -> Words:
  """The position of the first example of part `number` of `parts` equal parts of a step of n."""
  within = jnp.asarray(number, jnp.uint32) * np.uint32(n // parts)
  return add(multiply(step.astype(jnp.uint32), n), within)


def order(key: jax.Array, first: Words, n: int, size) -> jax.Array:
  """The examples at the n positions from `first` on, int32 [n]. Each epoch is a permutation of
  0 to size - 1. Both n and size are below 2^31.

  The size may be an int32 [] on the device, since members of a sweep may differ in it. The network
  then permutes small sizes too."""
  words = jax.random.key_data(key).astype(jnp.uint32).ravel()
  begin, place = divide(first, size)
  place = place + jnp.arange(n, dtype=jnp.uint32)
  if not isinstance(size, jax.Array) and size < MIN_NETWORK_ROWS:
    # The epochs that n positions can touch.
    count = np.arange((n + size - 2) // size + 1, dtype=np.uint32)
    keys = sort_keys(words, add(begin, count), size, jnp)
    rows = jnp.broadcast_to(jnp.arange(size, dtype=jnp.int32), keys[0].shape)
    return jax.lax.sort((*keys, rows), num_keys=2)[-1].ravel()[place]
  return network(words, add(begin, place // word(size)), place % word(size), size)


def permutation(key: jax.Array, index: jax.Array, size: int) -> jax.Array:
  """The image of each index [N] under the permutation of 0 to size - 1 that the network gives epoch
  0: int32 [N]."""
  words = jax.random.key_data(key).astype(jnp.uint32).ravel()
  return network(words, (np.uint32(0), np.uint32(0)), index.astype(jnp.uint32), size)


def network(words, epoch: Words, x: jax.Array, size) -> jax.Array:
  """The permutation of 0 to size - 1 that the network gives an epoch, at each x [N]: int32 [N]."""
  side, size = side_of(size), word(size)

  def walk(x):
    return jnp.where(x < size, x, shuffle(words, epoch, x, side))

  index = jax.lax.while_loop(lambda x: jnp.any(x >= size), walk, shuffle(words, epoch, x, side))
  return index.astype(jnp.int32)


def host_order(words: np.ndarray, position: np.ndarray, size: int) -> np.ndarray:
  """The examples at any positions [N] (int64), in numpy: int32 [N]. `words` is the key's data,
  uint32 [2]."""
  words = [np.asarray([word], np.uint32) for word in np.ravel(words)]
  epoch, x = np.divmod(np.asarray(position, np.int64), size)
  split = lambda x: ((x >> 32).astype(np.uint32), x.astype(np.uint32))
  if size < MIN_NETWORK_ROWS:
    epochs, row = np.unique(epoch, return_inverse=True)
    first, second = sort_keys(words, split(epochs), size, np)
    return np.lexsort((second, first))[row, x].astype(np.int32)
  epoch, x, side = split(epoch), x.astype(np.uint32), math.isqrt(size - 1) + 1
  index = shuffle(words, epoch, x, side)
  while np.any(outside := index >= size):
    index = np.where(outside, shuffle(words, epoch, index, side), index)
  return index.astype(np.int32)
