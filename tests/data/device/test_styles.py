"""Styles against their definitions, and how each row comes by its own."""

import colorsys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from vaejax.config.load import load_config
from vaejax.data import sources, splits
from vaejax.data.device import styles, transforms
from vaejax.errors import UserError

CONFIGS = Path(__file__).parents[3] / 'configs'
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 9, 8, 3)).astype(np.float32) / 255
GREY = IMAGES[..., :1]


@partial(jax.jit, static_argnums=0)
def all_of(kind, images, strength):
  """Every image in every style: {name: [N, H, W, 3]}."""
  n = images.shape[0]
  at = lambda i: styles.restyle(kind, images, jnp.full(n, i), strength)
  return {name: at(i) for i, name in enumerate(styles.names(kind))}


def digits(images=IMAGES, strength=0.4):
  return jax.device_get(all_of('digits', images, jnp.full(len(images), strength)))


def photographs(images=IMAGES, strength=0.4):
  return jax.device_get(all_of('photographs', images, jnp.full(len(images), strength)))


@pytest.mark.parametrize('of', [digits, photographs])
def test_all_give_256_levels_and_change_something(of):
  for name, found in of().items():
    assert found.shape == IMAGES.shape and found.min() >= 0 and found.max() <= 1
    assert np.allclose(found * 255, np.round(found * 255), atol=1e-4)
    assert not np.allclose(found, IMAGES, atol=1e-2), name
    assert of(GREY)[name].shape == IMAGES.shape


def test_inverted_is_an_involution():
  once = digits()['inverted']
  assert np.allclose(once, 1 - IMAGES, atol=1e-6)
  assert np.allclose(digits(once)['inverted'], IMAGES, atol=1e-6)


def test_thick_is_a_dilation_and_thin_an_erosion():
  found = digits()
  thick = [ndimage.grey_dilation(image, (3, 3, 1), mode='nearest') for image in IMAGES]
  footprint = np.zeros((3, 3, 1), bool)
  footprint[1:, 1:] = True
  thin = [ndimage.grey_erosion(i, footprint=footprint, mode='nearest') for i in IMAGES]
  assert np.allclose(found['thick'], thick, atol=1e-6)
  assert np.allclose(found['thin'], thin, atol=1e-6)
  rounded = np.round(IMAGES * 255) / 255
  assert (found['thick'] >= rounded - 1e-6).all() and (rounded + 1e-6 >= found['thin']).all()


def test_slanted_moves_each_row_by_its_height():
  found = digits(strength=0.5)['slanted']
  columns, slope = np.arange(8), 0.65
  for row in range(9):
    place = columns + slope * (4 - row)
    want = np.interp(place, columns, IMAGES[0, row, :, 1])
    assert np.allclose(found[0, row, :, 1], want, atol=0.51 / 255)
  assert np.allclose(found[:, 4], IMAGES[:, 4])


def test_coloured_has_the_hue_of_its_strength():
  for hue in (0.0, 0.2, 0.55, 0.9):
    found = digits(np.ones_like(GREY), hue)['coloured']
    assert np.allclose(found, colorsys.hsv_to_rgb(hue, 1, 1), atol=0.51 / 255)


def test_a_tone_is_one_ink_on_grey_and_keeps_a_fifth_of_colour():
  found = photographs(GREY, 0.3)['tone']
  ink = 0.2 + 0.8 * (0.3 + 0.7 * np.array(colorsys.hsv_to_rgb(0.3, 1, 1)))
  assert np.allclose(found, GREY * ink, atol=0.51 / 255)
  two = photographs(IMAGES, 0.3)['tone'] - photographs(IMAGES.mean(-1, keepdims=True))['tone']
  assert np.abs(two).max() > 0.05  # not of grey alone


def test_contrast_is_linear_about_the_mean_where_it_is_not_cut_off():
  image = 0.4 + 0.2 * IMAGES
  found = photographs(image, 0.5)['contrast']
  grey = (image @ np.array(styles.LUMA)).mean((1, 2))[:, None, None, None]
  want = np.clip(grey + 3 * (image - grey), 0, 1)
  assert np.allclose(found, want, atol=0.52 / 255) and 0 < want.min() < 0.2


def test_blurred_smooths_what_is_alike_and_keeps_an_edge():
  noise = np.random.default_rng(1).normal(0, 0.03, (1, 16, 16, 3)).astype(np.float32)
  step = np.where(np.arange(16) < 8, 0.2, 0.8)[:, None]
  found = photographs(np.clip(step + noise, 0, 1).astype(np.float32))['blurred'][0]
  left, right = found[:, :8], found[:, 8:]
  assert np.std(left) < 0.4 * 0.03 and np.std(right) < 0.4 * 0.03
  assert np.allclose(found[:, 8] - found[:, 7], 0.6, atol=0.06)


@pytest.mark.parametrize('strength, levels', [(0.2, 4), (0.5, 5)])
def test_posterised_has_few_levels(strength, levels):
  found = np.unique(photographs(strength=strength)['posterised'])
  assert np.allclose(found, np.linspace(0, 1, levels), atol=0.51 / 255)


def test_styles_are_equally_likely_and_strengths_uniform():
  n = 6000
  style, strength = styles.draw('digits', jax.random.split(jax.random.key(0), n))
  counts = np.bincount(style, minlength=5)
  assert len(counts) == 5 and np.abs(counts - n / 5).max() < 5 * np.sqrt(n * 4 / 25)
  assert strength.min() >= 0 and strength.max() < 1
  for one in range(5):
    part = np.asarray(strength)[np.asarray(style) == one]
    assert np.abs(np.quantile(part, [0.25, 0.5, 0.75]) - [0.25, 0.5, 0.75]).max() < 0.06


@pytest.mark.slow
def test_a_pair_is_the_row_in_the_style_of_the_row_before_it():
  raw = {'image': np.uint8(255 * GREY)}
  keys = jax.random.split(jax.random.key(1), 6)
  prepare = jax.jit(partial(transforms.prepare, styles='digits', pairs=True))
  found = jax.device_get(prepare(raw, keys))
  alone = jax.device_get(jax.jit(partial(transforms.prepare, styles='digits'))(raw, keys))
  assert all(np.array_equal(found[name], alone[name]) for name in alone)
  second = styles.draw('digits', jax.vmap(jax.random.fold_in, (0, None))(keys, 3))
  assert (second[0] != found['style']).any()
  grey = raw['image'] / np.float32(255)
  for name, base in (('pair', grey), ('style_image', np.roll(grey, 1, 0))):
    assert np.allclose(found[name], styles.restyle('digits', base, *second), atol=1e-6)
  assert set(alone) == {'image', 'style'} and set(found) == {*alone, 'pair', 'style_image'}


def make_sources(mode='auto', **changes):
  """Of the digits in styles: the training source, and the test source."""
  config = load_config(f'{CONFIGS}/style.py:smoke')
  config.data.update({'mode': mode, **changes})
  train, test = (splits.table(config.data, split, None) for split in ('train', 'test'))
  return sources.train(config.data, train, 16, 0), sources.test(config.data, test)


def batch(source, step):
  buffer, _ = next(iter(source.buffers(step, step + 1)))
  return jax.device_get(jax.jit(source.draw)(buffer, sources.run_key(0), jnp.int32(step)))


def test_a_row_is_drawn_anew_each_time_and_a_test_row_once(project):
  train, test = make_sources()
  assert train.example.styles == 5 and train.example.fields['image'].shape == (8, 8, 3)
  one, same, other = batch(train, 3), batch(train, 3), batch(train, 3 + 1500)
  assert all(np.array_equal(one[name], same[name]) for name in one)
  assert (one['style'] != other['style']).any()
  buffer = next(iter(test.blocks(297)))
  rows = jax.jit(test.rows)
  every = rows(buffer, jnp.arange(297))
  few = rows(buffer, jnp.array([5, 250]))
  for name in ('image', 'label', 'style'):
    assert np.array_equal(few[name], every[name][jnp.array([5, 250])])
  assert len(set(np.asarray(every['style']).tolist())) == 5


def test_a_stream_gives_the_batches_of_a_resident_split(project):
  resident, stream = make_sources('resident')[0], make_sources('stream')[0]
  for step in (0, 95):  # before and after an epoch's end
    one, other = batch(resident, step), batch(stream, step)
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_scale_comes_after_the_style(project):
  unit, symmetric = (
    batch(make_sources(scale=scale)[0], 0)['image'] for scale in ('unit', 'symmetric')
  )
  assert np.allclose(symmetric, 2 * unit - 1, atol=1e-6)


@pytest.mark.parametrize(
  'changes, message',
  [
    ({'styles': 'digit'}, "data.styles='digit' is unknown .did you mean 'digits'"),
    ({'name': 'moving'}, 'data.styles=digits needs images, but moving has videos'),
  ],
)
def test_what_has_no_styles_is_refused(project, changes, message):
  with pytest.raises(UserError, match=message):
    make_sources(**changes)
