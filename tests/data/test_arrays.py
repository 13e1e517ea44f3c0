"""Arrays as a data set: what they become, what tells them apart, what they cannot be."""

import numpy as np
import pytest

from vaejax.config.base import base
from vaejax.data import arrays, load
from vaejax.errors import UserError

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, (9, 4, 5, 3), dtype=np.uint8)
Y = np.arange(9) % 4


def config(**fields):
  data = base('vae', {}).data
  data.update({'name': arrays.NAME, **fields})
  return data


def test_rows_come_back_as_they_were():
  given = arrays.tables(
    {'train': {'image': X, 'label': Y}, 'test': {'image': X[:3], 'label': Y[:3]}}
  )
  rows = load.table(config(), 'test', given)
  assert (rows.size, rows.classes) == (3, 4)
  source = load.test(config(), rows)
  batch = source.rows(next(source.blocks(3)), np.arange(3))
  np.testing.assert_allclose(batch['image'], X[:3] / 255, atol=1e-6)
  np.testing.assert_array_equal(batch['label'], Y[:3])


@pytest.mark.parametrize('mode', ['resident', 'stream'])
def test_real_numbers_come_back_exactly(mode):
  x = RANDOM.normal(5, 1000, (9, 4, 4)).astype(np.float32)
  given = arrays.tables({'train': x, 'test': x[:3] / 2})
  data = config(mode=mode, seed=0)
  source = load.test(data, load.table(data, 'test', given))
  batch = source.rows(next(source.blocks(3)), np.arange(3))
  np.testing.assert_array_equal(batch['image'][..., 0], x[:3] / 2)
  example = source.example
  # The range is that of train, or the splits would not be of one run.
  assert (example.levels, example.low, example.high) == (0, x.min(), x.max())
  draw = load.train(data, load.table(data, 'train', given), 9, 0)
  buffer, _ = next(draw.buffers(0, 1))
  drawn = draw.draw(buffer, None, np.int32(0))['image'][..., 0]
  assert {float(one.sum()) for one in np.asarray(drawn)} == {float(one.sum()) for one in x}


def test_a_checksum_tells_them_apart():
  origin = lambda x: arrays.tables({'train': x, 'test': x})['train'].origin
  other = X.copy()
  other[8, 3, 4, 2] ^= 1
  swapped = X[::-1]
  assert origin(X) == origin(X.copy()) == origin(np.asfortranarray(X))
  assert len({origin(x) for x in (X, other, swapped, X[:8])}) == 4
  assert origin({'image': X, 'label': Y}) != origin({'image': X, 'label': Y[::-1]})


def test_8_bit_images_are_brought_to_a_size():
  given = arrays.tables({'train': X, 'test': X})
  assert load.table(config(size=8, channels=1), 'train', given).row['image'].shape == (8, 8, 1)
  reals = arrays.tables({'train': X / 255, 'test': X / 255})
  with pytest.raises(UserError, match=r'only 8-bit images can be resized. Set data.size=0'):
    load.table(config(size=8), 'train', reals)


V = np.zeros((2, 3, 4, 4, 1), np.uint8)
MISTAKES = {
  'no test': ({'train': X}, "has no 'test'"),
  'another split': ({'train': X, 'test': X, 'valid': X}, "has an unknown split 'valid'. Give"),
  'no image': ({'train': {'x': X}, 'test': X}, "train has the fields 'x'. Give either 'image' or"),
  'both': ({'train': {'image': X, 'video': V}, 'test': X}, "fields 'image', 'video'"),
  'rank': ({'train': X[0, 0], 'test': X}, r'has the shape \[5, 3\]'),
  'whole numbers': (
    {'train': X.astype(int), 'test': X},
    'int64. Give uint8',
  ),
  'bool': ({'train': X > 3, 'test': X}, 'bool'),
  'nan': ({'train': X * np.nan, 'test': X}, 'not finite'),
  'ragged': ({'train': [[1], [1, 2]], 'test': X}, 'differ in shape'),
  'none': ({'train': X[:0], 'test': X}, '0 of image rows'),
  'labels': ({'train': {'image': X, 'label': Y[:4]}, 'test': X}, '9 of image, 4 of label rows'),
  'unknown labels': ({'train': {'image': X, 'label': Y - 1}, 'test': X}, 'whole numbers from 0'),
  'one split without': ({'train': {'image': X, 'label': Y}, 'test': X}, 'test has image uint8'),
  'another shape': ({'train': X, 'test': X[:, 1:]}, r'test has image uint8 \[3, 5, 3\], but train'),
  'a class of test': (
    {'train': {'image': X, 'label': Y}, 'test': {'image': X, 'label': Y + 1}},
    'test has the label 4, but train only has 0 to 3',
  ),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_a_mistake_is_one_line(name):
  data, message = MISTAKES[name]
  with pytest.raises(UserError, match=message) as found:
    arrays.tables(data)
  assert '\n' not in str(found.value)


def test_without_the_arrays():
  with pytest.raises(UserError, match=r'given to vaejax.train and are not saved'):
    load.table(config(), 'train', None)
  with pytest.raises(UserError, match=r"no split 'validation'\. Choose train or test"):
    load.table(config(), 'validation', arrays.tables({'train': X, 'test': X}))
