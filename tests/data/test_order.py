"""The order of examples: permutations, the same on host and device, and without a pattern."""

import hashlib
import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vaejax.data.order import (
  divide,
  first_position,
  host_order,
  multiply,
  order,
  permutation,
  side_of,
)

SIZES = [1, 2, 3, 10, 127, 128, 1797, 60_000]


def device(key, position, n, size):
  """The order at n positions from a Python integer on."""
  words = jnp.uint32(position >> 32), jnp.uint32(position % 2**32)
  return jax.jit(order, static_argnums=(2, 3))(key, words, n, size)


def host(seed, position, size):
  return host_order(np.asarray(jax.random.key_data(jax.random.key(seed))), position, size)


@pytest.mark.parametrize('size', SIZES)
def test_every_epoch_is_a_permutation(size):
  epochs = host(0, np.arange(3 * size), size).reshape(3, size)
  assert epochs.dtype == np.int32
  assert np.array_equal(np.sort(epochs), np.broadcast_to(np.arange(size), (3, size)))


def test_the_order_changes_with_the_epoch_and_with_the_key():
  first, second = host(0, np.arange(3594), 1797).reshape(2, 1797)
  other = host(1, np.arange(1797), 1797)
  # Of 1797 places about one agrees by chance.
  for a, b in ((first, second), (first, other), (second, other), (first, np.arange(1797))):
    assert np.sum(a == b) < 10
  assert np.array_equal(first, host(0, np.arange(1797), 1797))


@pytest.mark.parametrize('size', [*SIZES, 2**31 - 1])
def test_host_and_device_agree_at_any_position(size):
  for first in (0, 5 * size + size // 2, 2**31 - 50, 2**32 - 60, 2**32 * size - 30, 2**51 - 50):
    ours = device(jax.random.key(3), first, 100, size)
    assert np.array_equal(ours, host(3, first + np.arange(100), size)) and ours.dtype == jnp.int32


@pytest.mark.parametrize('size', [1, 2, 3, 10, 127, 128, 961, 962, 1797, 60_000])
def test_a_size_on_the_device_gives_the_order_of_the_network(size):
  """So members of a sweep may differ in size."""
  words = jnp.uint32(0), jnp.uint32(0)
  rows = jax.jit(order, static_argnums=2)(jax.random.key(3), words, size, jnp.int32(size))
  assert np.array_equal(np.sort(rows), np.arange(size))
  if size >= 128:
    for first in (0, 5 * size + size // 2, 2**32 - 60):
      words = jnp.uint32(first >> 32), jnp.uint32(first % 2**32)
      ours = jax.jit(order, static_argnums=2)(jax.random.key(3), words, 100, jnp.int32(size))
      assert np.array_equal(ours, host(3, first + np.arange(100), size))


def test_the_side_on_the_device_is_exact():
  squares = np.arange(1, 46341, dtype=np.int64) ** 2
  sizes = np.concatenate([squares - 1, squares, squares + 1, [2**31 - 1]])
  sizes = sizes[(sizes > 0) & (sizes < 2**31)]
  want = [side_of(int(size)) for size in sizes]
  assert np.array_equal(jax.jit(side_of)(sizes.astype(np.int32)), want)


@pytest.mark.parametrize('size', [3, 1797])
def test_the_epoch_across_32_bits_is_a_permutation_and_no_order_comes_again(size):
  first = 2**32 // size * size  # the epoch that has position 2^32
  assert first < 2**32 < first + size
  rows = [host(0, e + np.arange(size), size) for e in (first, first + size)]
  assert all(sorted(row) == list(range(size)) for row in rows)
  assert np.array_equal(device(jax.random.key(0), first, size, size), rows[0])
  early, late = (host(0, s + np.arange(60 * size), size) for s in (0, 2**32 * size))
  assert np.mean(early == late) < 3 / size


def test_orders_of_earlier_runs_are_kept():
  """The positions below 2^32 of sizes above the shuffled ones."""
  index = np.concatenate([host(5, np.arange(p, p + 500), n) for p in (0, 10**9) for n in SIZES[5:]])
  digest = hashlib.sha256(index.astype(np.int32).tobytes()).hexdigest()
  assert digest[:16] == 'd407aa738aca61a8'


@pytest.mark.parametrize('n', [1, 7, 100 * 2**20, 2**31 - 1])
@pytest.mark.parametrize('step', [0, 3, 2**16, 2**31 - 2])
def test_products_and_quotients_of_two_words_are_pythons(n, step):
  words = jax.jit(multiply, static_argnums=1)(jnp.uint32(step), n)
  join = lambda words: int(words[0]) * 2**32 + int(words[1])
  assert join(words) == step * n
  for size in (1, 3, 60_000, 2**31 - 1):
    quotient, rest = jax.jit(divide, static_argnums=1)(words, size)
    assert (join(quotient), int(rest)) == divmod(step * n, size)
  last = jax.jit(first_position, static_argnums=(1, 2, 3))(jnp.int32(step), 4 * (n // 4), 3, 4)
  assert join(last) == step * 4 * (n // 4) + 3 * (n // 4)


@pytest.mark.parametrize('size', [3, 4])
def test_every_permutation_of_few_rows_is_as_likely(size):
  draw = jax.jit(jax.vmap(lambda seed: device(jax.random.key(seed), 0, 2 * size, size)))
  for epochs in np.split(np.asarray(draw(jnp.arange(60_000))), 2, axis=1):
    number = epochs @ size ** np.arange(size)
    _, counts = np.unique(number, return_counts=True)
    assert len(counts) == math.factorial(size)
    assert stats.chisquare(counts).pvalue > 1e-4


def test_a_permutation_of_indices_is_the_order_of_the_first_epoch():
  index = np.asarray([7, 7, 1000, 0])
  assert np.array_equal(
    permutation(jax.random.key(2), jnp.asarray(index), 1797), host(2, index, 1797)
  )


def test_a_batch_runs_on_over_an_epochs_end():
  size, n = 10, 4
  whole = host(0, np.arange(40), size)
  step = 2  # positions 8 ... 11: the last two of one epoch, the first two of the next
  batch = device(jax.random.key(0), step * n, n, size)
  assert np.array_equal(batch, whole[8:12])
  assert sorted(whole[:10]) == sorted(whole[10:20]) == list(range(10))


def test_members_of_a_sweep_have_their_own_order():
  keys = jax.random.split(jax.random.key(0), 3)
  for size in (50, 200):
    together = jax.vmap(partial(device, position=0, n=50, size=size))(keys)
    for k, values in zip(keys, together, strict=True):
      assert np.array_equal(values, device(k, 0, 50, size))
    assert not np.array_equal(together[0], together[1])


def chances(size, keys=4000):
  """Where the first, second and last positions of the epochs 0 and 1 go, for many keys: counts."""
  draw = jax.jit(jax.vmap(lambda seed: device(jax.random.key(seed), 0, size + 1, size)))
  return np.asarray(draw(jnp.arange(keys)))[:, [0, 1, size - 1, size]]


@pytest.mark.parametrize('size', [2, 3, 10, 37])
def test_every_example_is_as_likely_anywhere(size):
  found = chances(size)
  for places in found.T:
    assert stats.chisquare(np.bincount(places, minlength=size)).pvalue > 1e-4
  # And two of them together: the first of one epoch and of the next; first and second of one.
  pairs = np.bincount(found[:, 0] * size + found[:, 3], minlength=size**2)
  assert stats.chisquare(pairs).pvalue > 1e-4
  pairs = np.bincount(found[:, 0] * size + found[:, 1], minlength=size**2).reshape(size, size)
  assert np.trace(pairs) == 0
  assert stats.chisquare(pairs[~np.eye(size, dtype=bool)]).pvalue > 1e-4


def test_neighbours_are_not_kept_together():
  steps = np.diff(host(0, np.arange(60_000), 60_000))
  assert np.mean(np.abs(steps) < 60) < 0.003  # by chance 0.002
  assert abs(np.corrcoef(np.arange(60_000), host(0, np.arange(60_000), 60_000))[0, 1]) < 0.02
