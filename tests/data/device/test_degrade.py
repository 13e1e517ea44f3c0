"""Sources: their properties, PIL's filters, and their draws by the keys of rows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from vaejax.config.base import base
from vaejax.data import sources
from vaejax.data.device import degrade, masks, styles
from vaejax.data.table import of_arrays
from vaejax.errors import UserError

LEVELS = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), np.uint8)
PICTURES = jnp.asarray(LEVELS / np.float32(255))


def keys(n, seed=0):
  return jax.random.split(jax.random.key(seed), n)


def config(source, **fields):
  data = base('any', {}).data
  data.update({'source': source, **fields})
  return data


def rows(made, index=(0, 1, 2, 3, 4, 5)):
  (buffer, _), *_ = made.buffers(0, 1)
  return jax.device_get(jax.jit(made.rows)(buffer, np.asarray(index)))


def test_the_fixed_masks_hide_what_they_say():
  half = np.asarray(masks.masks('half', keys(2), 6, 8))[0, ..., 0]
  assert (half[:, :4] == 1).all() and (half[:, 4:] == 0).all()
  centre = np.asarray(masks.masks('centre', keys(2), 8, 12))[0, ..., 0]
  assert (centre[2:6, 3:9] == 0).all() and centre.sum() == 96 - 24


def test_random_masks_hide_a_part_and_differ():
  shares = {}
  for kind in masks.MASKS:
    seen = np.asarray(masks.masks(kind, keys(400), 32, 32))
    assert seen.shape == (400, 32, 32, 1) and set(np.unique(seen)) == {0, 1}
    missing = 1 - seen.mean((1, 2, 3))
    assert missing.min() > 0.05 and missing.max() < 0.7, kind
    shares[kind] = missing.mean(), len(np.unique(seen.reshape(400, -1), axis=0))
  assert shares['half'] == (0.5, 1) and shares['centre'] == (0.25, 1)
  assert shares['random'][1] == 400 and 0.2 < shares['random'][0] < 0.4
  # Two directions of 8 offsets of stripes of 4 pixels, and half of the pixels.
  assert shares['stripes'][1] == 16 and shares['stripes'][0] == pytest.approx(0.5)
  # Of `any`, a quarter each: four halves, the centre, random ones, stripes.
  seen = np.asarray(masks.masks('any', keys(400), 32, 32)).reshape(400, -1)
  counts = np.unique(seen, axis=0, return_counts=True)[1]
  assert (counts == 1).sum() == pytest.approx(100, abs=35)


def test_what_is_hidden_is_at_mid_range_and_the_rest_is_the_image():
  source = np.asarray(degrade.make(degrade.parse('mask:random'), PICTURES, keys(6)))
  seen = source[..., 3:] == 1
  assert (np.where(seen, PICTURES, 0.5) == source[..., :3]).all() and not seen.all()


@pytest.mark.parametrize('name', degrade.FILTERS)
@pytest.mark.parametrize('factor', degrade.SIDES)
def test_smaller_is_what_pil_gives(name, factor):
  side, method = 16 // factor, getattr(Image.Resampling, name.upper())
  want = [np.asarray(Image.fromarray(x).resize((side, side), method)) for x in LEVELS]
  made = np.asarray(degrade.make(degrade.parse(f'small:{factor}:{name}'), PICTURES, None)) * 255
  difference = np.abs(made - np.asarray(want, np.float32))
  # PIL's weights of the cubic have 22 bits.
  assert difference.max() < 1.01 and np.mean(difference > 0.5) <= (name != 'box') * 0.01
  if name == 'box':
    blocks = LEVELS.reshape(6, side, factor, side, factor, 3).mean((2, 4))
    assert np.abs(blocks - made).max() < 1.01
    assert degrade.parse(f'small:{factor}') == degrade.parse(f'small:{factor}:box')


def test_grey_is_what_pil_gives():
  want = np.asarray([np.asarray(Image.fromarray(x).convert('L')) for x in LEVELS], np.float32)
  made = np.asarray(degrade.grey(PICTURES))[..., 0] * 255
  assert np.abs(made - want).max() < 1.01 and np.mean(np.abs(made - want) > 0.5) < 0.01


def test_noise_has_its_deviation_and_is_clipped():
  flat = jnp.full((50, 32, 32, 1), 0.5)
  noise = np.asarray(degrade.noisy(flat, 0.1, keys(50))) - 0.5
  assert abs(noise.mean()) < 0.002 and noise.std() == pytest.approx(0.1, abs=0.002)
  whole = np.asarray(degrade.noisy(flat, 1.0, keys(50)))
  assert whole.min() == 0 and whole.max() == 1


def test_a_style_and_its_reverse():
  image, source = degrade.apply('inverted', PICTURES, PICTURES, keys(6))
  np.testing.assert_array_equal(image, PICTURES)
  np.testing.assert_allclose(source, 1 - PICTURES, atol=1e-6)
  image, source = degrade.apply('to:inverted', PICTURES, PICTURES, keys(6))
  np.testing.assert_array_equal(source, PICTURES)
  np.testing.assert_allclose(image, 1 - PICTURES, atol=1e-6)
  assert degrade.parse('style:inverted') == degrade.parse('to:inverted')
  assert degrade.shapes('to:thick', (8, 8, 1)) == ((8, 8, 3), (8, 8, 1))
  number = styles.names('digits').index('thick')
  thick = styles.restyle('digits', PICTURES, jnp.full(6, number), jnp.zeros(6))
  np.testing.assert_array_equal(degrade.apply('thick', PICTURES, PICTURES, keys(6))[1], thick)


@pytest.mark.parametrize('source', ['mask:any', 'noise:0.2', 'slanted', 'small:2', 'to:grey'])
def test_a_row_of_a_pass_has_its_source_in_any_batch_and_range(source):
  table = of_arrays({'image': LEVELS}, None, 'toy')
  made = sources.test(config(source), table)
  every = rows(made)
  few = rows(made, (4, 2, 4))
  np.testing.assert_array_equal(few['source'], every['source'][[4, 2, 4]])
  assert every['source'].shape[1:] == made.example.fields['source'].shape
  assert every['image'].shape[1:] == made.example.fields['image'].shape
  other = rows(sources.test(config(source, scale='symmetric'), table))
  np.testing.assert_allclose(other['source'], 2 * every['source'] - 1, atol=1e-6)


def test_sources_are_made_from_the_changed_image():
  table = of_arrays({'image': LEVELS}, None, 'toy')
  data = config('small:2')
  data.augment.update({'flip': True, 'shift': 3})
  made = sources.train(data, table, 32, 0)
  (buffer, _), *_ = made.buffers(0, 1)
  batch = jax.jit(made.draw)(buffer, jax.random.key(1), np.int32(0))
  np.testing.assert_array_equal(degrade.shrink(batch['image'], 2), batch['source'])
  assert len(np.unique(np.asarray(batch['image']).reshape(32, -1), axis=0)) > 12


def test_rows_of_two_domains_are_changed_alike():
  table = of_arrays({'image': LEVELS, 'source': 255 - LEVELS}, None, 'toy')
  data = config('domain:a>b')
  data.augment.update({'flip': True, 'brightness': 0.0, 'crop': 12})
  made = sources.train(data, table, 32, 0)
  (buffer, _), *_ = made.buffers(0, 1)
  batch = jax.jit(made.draw)(buffer, jax.random.key(1), np.int32(0))
  np.testing.assert_allclose(batch['image'] + batch['source'], 1, atol=1e-6)


@pytest.mark.parametrize(
  'source, shape, says',
  [
    ('mask:halves', None, "did you mean 'mask:half'"),
    ('noise:2', None, 'out of range'),
    ('noise:much', None, 'unknown'),
    ('style:grey', None, 'unknown'),
    ('style:thicks', None, "did you mean 'style:thick'"),
    ('small:3', None, 'unknown'),
    ('small:2:nearest', None, 'box or bicubic'),
    ('domain:a', None, 'two domains'),
    ('domain:a>a', None, 'two domains'),
    ('small:4', (30, 28, 3), 'does not divide images of 30x28'),
    ('grey', (8, 8, 1), 'needs 3 channels'),
    ('thick', (8, 8, 4), 'needs 1 or 3 channels'),
  ],
)
def test_what_does_not_fit_is_one_line(source, shape, says):
  with pytest.raises(UserError, match=says) as error:
    degrade.shapes(source, shape or (8, 8, 3))
  assert '\n' not in str(error.value)
