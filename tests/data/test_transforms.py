"""Scaling, binarisation and flips, and the noise that they take."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.data import transforms
from vaejax.data.augment import Augment
from vaejax.data.transforms import prepare

binarise = jax.jit(transforms.binarise, static_argnums=0)
GREY = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)


def keys(n, seed=0):
  return jax.random.split(jax.random.key(seed), n)


def static(image, index):
  return np.asarray(binarise('static', jnp.asarray(image), None, jnp.asarray(index)))


def test_grey_levels_and_threshold():
  grey = binarise('none', GREY, None, None)
  assert grey.dtype == jnp.float32
  assert np.allclose(np.ravel(grey), np.arange(256) / 255, rtol=1e-6)
  assert grey.min() == 0 and grey.max() == 1
  half = np.ravel(binarise('threshold', GREY, None, None))
  assert np.array_equal(half, np.arange(256) >= 128)


@pytest.mark.parametrize('kind', ['dynamic', 'static'])
def test_draws_have_the_chance_of_their_grey_level(kind):
  n = 4000
  image = np.broadcast_to(GREY, (n, 16, 16, 1))
  drawn = np.asarray(binarise(kind, jnp.asarray(image), keys(n), jnp.arange(n)))
  assert set(np.unique(drawn)) == {0, 1} and drawn.dtype == np.float32
  mean, want = drawn.mean(0).ravel(), np.arange(256) / 255
  assert mean[0] == 0 and mean[255] == 1
  inner = slice(1, 255)
  z = (mean - want)[inner] / np.sqrt(want * (1 - want) / n)[inner]
  assert np.abs(z).max() < 4.5 and abs(z.mean()) < 0.3 and 0.8 < z.std() < 1.2


@pytest.mark.parametrize('level, always', [(0, 0), (255, 1)])
def test_black_and_white_are_exact(level, always):
  image = jnp.full((8, 100, 100, 1), level, jnp.uint8)
  assert (binarise('dynamic', image, keys(8), None) == always).all()


def test_a_static_draw_depends_on_the_index_alone():
  image = np.random.default_rng(0).integers(0, 256, (6, 5, 5, 3), np.uint8)
  whole = static(image, np.arange(6))
  assert np.array_equal(static(image[3:], np.arange(3, 6)), whole[3:])
  assert np.array_equal(static(image[[4, 1]], [4, 1]), whole[[4, 1]])
  assert not np.array_equal(static(image[:1], [1]), whole[:1])
  with_keys = binarise('static', jnp.asarray(image), keys(6, 9), jnp.arange(6))
  assert np.array_equal(with_keys, whole)


def test_the_static_draw_is_the_same_everywhere():
  image = np.tile(GREY, (20, 1, 1, 1))
  drawn = static(image, np.arange(20)).astype(np.uint8)
  digest = hashlib.sha256(np.packbits(drawn).tobytes()).hexdigest()
  assert digest[:16] == 'f1eaf1f8e3ffb4ae'
  # A user's default generator of keys changes nothing.
  with jax.default_prng_impl('rbg'):
    found = transforms.binarise('static', jnp.asarray(image), None, jnp.arange(20))
  assert np.array_equal(found, drawn)


def test_a_dynamic_draw_depends_on_its_key():
  image = jnp.full((3, 20, 20, 1), 128, jnp.uint8)
  one, two = (np.asarray(binarise('dynamic', image, keys(3, s), jnp.arange(3))) for s in (0, 1))
  assert np.array_equal(one, binarise('dynamic', image, keys(3, 0), jnp.arange(3) + 7))
  assert 0.4 < np.mean(one == two) < 0.6 and 0.4 < np.mean(one[0] == one[1]) < 0.6


def raw(n=3):
  image = np.random.default_rng(0).integers(0, 256, (n, 4, 4, 1), np.uint8)
  return {'image': jnp.asarray(image), 'label': jnp.arange(n)}


@pytest.mark.parametrize('kind', ['none', 'threshold', 'dynamic', 'static'])
def test_prepare_scales_and_keeps_the_other_fields(kind):
  unit, symmetric = (
    prepare(raw(), keys(3), jnp.arange(3), kind, scale) for scale in ('unit', 'symmetric')
  )
  assert np.array_equal(unit['label'], [0, 1, 2])
  assert np.allclose(symmetric['image'], 2 * unit['image'] - 1, atol=1e-6)
  want = binarise(kind, raw()['image'], keys(3), jnp.arange(3))
  assert np.array_equal(unit['image'], want)


@pytest.mark.parametrize('kind', ['threshold', 'static', 'dynamic'])
def test_flips_happen_only_where_asked_and_after_binarisation(kind):
  n = 200
  rows = raw(n)
  both = prepare(rows, keys(n), jnp.arange(n), kind, augmentation=Augment(flip=True))['image']
  plain = prepare(rows, keys(n), jnp.arange(n), kind)['image']
  same = (both == plain).all((1, 2, 3))
  assert 0.35 < same.mean() < 0.65
  assert np.array_equal(both[~same], plain[~same][:, :, ::-1])
