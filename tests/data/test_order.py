"""The order of examples: permutations, the same on host and device, and without a pattern."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from vaejax.data.order import host_order, order

SIZES = [1, 2, 3, 10, 1797, 60_000]
TOP = 2**32


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


@pytest.mark.parametrize('size', SIZES)
def test_host_and_device_agree_at_any_position(size):
  key = jax.random.key(3)
  starts = [0, size - 3, 5 * size + size // 2, 2**31 - 50, TOP - 100]
  position = np.unique(np.concatenate([np.arange(max(s, 0), s + 100) for s in starts]))
  position = position[position < TOP]
  on_device = jax.jit(order, static_argnums=2)(key, jnp.asarray(position, jnp.uint32), size)
  assert np.array_equal(on_device, host(3, position, size)) and on_device.dtype == jnp.int32


def test_a_batch_runs_on_over_an_epochs_end():
  size, n = 10, 4
  whole = host(0, np.arange(40), size)
  step = 2  # positions 8 ... 11: the last two of one epoch, the first two of the next
  batch = order(jax.random.key(0), jnp.arange(step * n, step * n + n, dtype=jnp.uint32), size)
  assert np.array_equal(batch, whole[8:12])
  assert sorted(whole[:10]) == sorted(whole[10:20]) == list(range(10))


def test_members_of_a_sweep_have_their_own_order():
  keys = jax.random.split(jax.random.key(0), 3)
  position = jnp.arange(50, dtype=jnp.uint32)
  together = jax.vmap(lambda k: order(k, position, 50))(keys)
  for k, got in zip(keys, together, strict=True):
    assert np.array_equal(got, order(k, position, 50))
  assert not np.array_equal(together[0], together[1])


def chances(size, keys=4000):
  """Where the first, second and last positions of the epochs 0 and 1 go, for many keys: counts."""
  position = jnp.asarray([0, 1, size - 1, size], jnp.uint32)
  draw = jax.jit(jax.vmap(lambda seed: order(jax.random.key(seed), position, size)))
  return np.asarray(draw(jnp.arange(keys)))


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
