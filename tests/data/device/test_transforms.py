"""Scaling, binarisation and flips, and the noise that they take."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.data.device import transforms
from vaejax.data.device.augment import Augment
from vaejax.data.device.transforms import prepare
from vaejax.distributions import DiscretisedLogistic
from vaejax.types import Example

binarise = jax.jit(transforms.binarise, static_argnums=(0, 3))
GREY = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)


def keys(n, seed=0):
  return jax.random.split(jax.random.key(seed), n)


def static(image):
  return np.asarray(binarise('static', jnp.asarray(image), None))


def test_grey_levels_and_threshold():
  grey = binarise('none', GREY, None)
  assert grey.dtype == jnp.float32
  assert np.allclose(np.ravel(grey), np.arange(256) / 255, rtol=1e-6)
  assert grey.min() == 0 and grey.max() == 1
  half = np.ravel(binarise('threshold', GREY, None))
  assert np.array_equal(half, np.arange(256) >= 128)


@pytest.mark.parametrize('kind', ['dynamic', 'static'])
def test_draws_have_the_chance_of_their_grey_level(kind):
  n = 4000
  image = np.broadcast_to(GREY, (n, 16, 16, 1))
  # A static draw is of the pixels, so each image gets two pixels that no other has.
  number = np.stack([np.arange(n) // 256, np.arange(n) % 256], axis=-1).astype(np.uint8)
  tagged = np.concatenate([image.reshape(n, 256), number], axis=1)[:, None, :, None]
  drawn = np.asarray(binarise(kind, jnp.asarray(tagged), keys(n)))[:, :, :256]
  assert set(np.unique(drawn)) == {0, 1} and drawn.dtype == np.float32
  mean, want = drawn.mean(0).ravel(), np.arange(256) / 255
  assert mean[0] == 0 and mean[255] == 1
  inner = slice(1, 255)
  z = (mean - want)[inner] / np.sqrt(want * (1 - want) / n)[inner]
  assert np.abs(z).max() < 4.5 and abs(z.mean()) < 0.3 and 0.8 < z.std() < 1.2


@pytest.mark.parametrize('level, always', [(0, 0), (255, 1)])
def test_black_and_white_are_exact(level, always):
  image = jnp.full((8, 100, 100, 1), level, jnp.uint8)
  assert (binarise('dynamic', image, keys(8)) == always).all()


def test_a_static_draw_depends_on_the_picture_alone():
  image = np.random.default_rng(0).integers(0, 256, (6, 5, 5, 3), np.uint8)
  whole = static(image)
  assert np.array_equal(static(image[3:]), whole[3:])
  assert np.array_equal(static(image[[4, 1]]), whole[[4, 1]])
  assert np.array_equal(binarise('static', jnp.asarray(image), keys(6, 9)), whole)


def test_static_draws_of_different_pictures_are_independent():
  """Also of nearly equal ones: the noise of a row of train and of the same row of test differ."""
  image = np.full((400, 10, 10, 1), 128, np.uint8)
  at = np.arange(400)
  image.reshape(400, 100)[at, at % 100] += (1 + at // 100).astype(np.uint8)
  drawn = static(image).reshape(400, 100)
  assert len({row.tobytes() for row in drawn}) == 400
  agree = np.corrcoef(drawn)[np.triu_indices(400, 1)]
  assert abs(agree.mean()) < 0.002 and 0.09 < agree.std() < 0.11  # by chance 0 and 0.1


def test_the_static_draw_is_the_same_everywhere():
  image = np.stack([np.roll(GREY[0], i) for i in range(20)])
  drawn = static(image).astype(np.uint8)
  digest = hashlib.sha256(np.packbits(drawn).tobytes()).hexdigest()
  assert digest[:16] == '39abc05651f7e48b'
  # A user's default generator of keys changes nothing.
  with jax.default_prng_impl('rbg'):
    found = transforms.binarise('static', jnp.asarray(image), None)
  assert np.array_equal(found, drawn)


def test_a_dynamic_draw_depends_on_its_key():
  image = jnp.full((3, 20, 20, 1), 128, jnp.uint8)
  one, two = (np.asarray(binarise('dynamic', image, keys(3, s))) for s in (0, 1))
  assert 0.4 < np.mean(one == two) < 0.6 and 0.4 < np.mean(one[0] == one[1]) < 0.6


@pytest.mark.parametrize('levels', [2, 4, 16, 17, 200, 256])
def test_few_levels_are_exactly_on_their_grid(levels):
  stored = np.round(np.arange(levels) * 255 / (levels - 1)).astype(np.uint8)
  rows = {'image': jnp.asarray(stored).reshape(1, 1, -1, 1)}
  unit, symmetric = (
    np.ravel(prepare(rows, keys(1), scale=scale, levels=levels)['image'])
    for scale in ('unit', 'symmetric')
  )
  grid = np.arange(levels, dtype=np.float32) / np.float32(levels - 1)
  assert np.abs(unit - grid).max() <= (0 if levels == 17 else 1e-7)
  assert np.abs(symmetric - (2 * grid - 1)).max() <= 2e-7
  # A likelihood of so many bins gives all of them together the probability 1.
  p = DiscretisedLogistic(jnp.float32(0.3), jnp.float32(-1.0), levels=levels)
  assert np.isclose(np.exp(p.log_prob(unit)).sum(), 1, atol=1e-5)
  # Users' pictures, of 8 bits or in [0, 1], become the same.
  field = {'image': jax.ShapeDtypeStruct((1, levels, 1), jnp.float32)}
  if levels > 2:
    example = Example(field, levels=levels)
    assert np.array_equal(example.to_data(stored), unit)
    assert np.allclose(example.to_data(stored / np.float32(255)), unit, atol=1e-7)


def test_draws_have_the_chance_of_their_level_among_few():
  """Level 8 of 17 is stored as 128: its probability is 8 / 16, and not 128 / 255."""
  n = 4_000_000
  image = jnp.full((1, 2000, n // 2000, 1), 128, jnp.uint8)
  mean = binarise('dynamic', image, keys(1), 17).mean()
  error = 0.5 / np.sqrt(n)
  assert abs(mean - 0.5) < 3 * error < abs(mean - 128 / 255)


def raw(n=3):
  image = np.random.default_rng(0).integers(0, 256, (n, 4, 4, 1), np.uint8)
  return {'image': jnp.asarray(image), 'label': jnp.arange(n)}


@pytest.mark.parametrize('kind', ['none', 'threshold', 'dynamic', 'static'])
def test_prepare_scales_and_keeps_the_other_fields(kind):
  unit, symmetric = (prepare(raw(), keys(3), kind, scale) for scale in ('unit', 'symmetric'))
  assert np.array_equal(unit['label'], [0, 1, 2])
  assert np.allclose(symmetric['image'], 2 * unit['image'] - 1, atol=1e-6)
  want = binarise(kind, raw()['image'], keys(3))
  assert np.array_equal(unit['image'], want)


@pytest.mark.parametrize('kind', ['threshold', 'static', 'dynamic'])
def test_flips_happen_only_where_asked_and_after_binarisation(kind):
  n = 200
  rows = raw(n)
  both = prepare(rows, keys(n), kind, augmentation=Augment(flip=True))['image']
  plain = prepare(rows, keys(n), kind)['image']
  same = (both == plain).all((1, 2, 3))
  assert 0.35 < same.mean() < 0.65
  assert np.array_equal(both[~same], plain[~same][:, :, ::-1])
