"""Keys whose noise belongs to rows: a row of a split has the same noise in a batch of any size."""

import math

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl

from vaejax.data.device.noise import threefry

# First words of counters that no row has, for the keys that are derived from a key.
SPLIT, FOLD = 0xFFFFFFFE, 0xFFFFFFFF


def row_key(key: jax.Array, first, n: int) -> jax.Array:
  """A key for a batch of the n rows from `first` on of a split, instead of `key`.

  A draw of shape [m n, ...] has m consecutive rows of noise for each row of the batch, which depend
  on `key` and on the row's position in the split. So do draws from keys that are split off or
  folded from it.
  """
  words = jax.random.bits(key, (2,), jnp.uint32)
  rows = jnp.asarray(first, jnp.uint32), jnp.asarray(n, jnp.uint32)
  return jax.random.wrap_key_data(jnp.stack([*words, *rows]), impl=IMPLEMENTATION)


# Below, a key is uint32 [4]: two words of a Threefry key, the first row and the number of rows.


def seed(number):
  zero = jnp.zeros((), jnp.uint32)
  return jnp.stack([zero, jnp.asarray(number).astype(jnp.uint32), zero, zero + 1])


def split(key, shape):
  number = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)
  words = threefry(key[0], key[1], jnp.full_like(number, SPLIT), number)
  return jnp.stack([*words, *(jnp.broadcast_to(x, shape) for x in key[2:])], axis=-1)


def fold_in(key, number):
  words = threefry(key[0], key[1], jnp.uint32(FOLD), jnp.asarray(number).astype(jnp.uint32))
  return jnp.stack([*words, *key[2:]])


def random_bits(key, width: int, shape):
  size = math.prod(shape)
  first, n = key[2], key[3]
  each = jnp.maximum((size + n - 1) // n, 1)  # values of one row
  number = jnp.arange(size, dtype=jnp.uint32).reshape(shape)
  x, y = threefry(key[0], key[1], first + number // each, number % each)
  if width == 64:
    return (x.astype(jnp.uint64) << 32) | y.astype(jnp.uint64)
  return (x ^ y).astype(f'uint{width}')


IMPLEMENTATION = define_prng_impl(
  key_shape=(4,),
  seed=seed,
  split=split,
  random_bits=random_bits,
  fold_in=fold_in,
  name='rows',
  tag='rows',
)
