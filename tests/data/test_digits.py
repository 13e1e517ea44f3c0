"""The embedded digits are scikit-learn's, byte for byte."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vaejax.data import source
from vaejax.data.sets import digits


def test_they_are_scikit_learns():
  images, labels = digits.read()
  assert images.shape == (1797, 8, 8, 1) and images.dtype == np.uint8
  assert labels.shape == (1797,) and labels.dtype == np.int32
  # Of load_digits() in scikit-learn 1.9: data and target as uint8, row by row.
  levels = np.round(images * (16 / 255)).astype(np.uint8)
  rows = np.concatenate([levels.reshape(-1, 64), labels[:, None].astype(np.uint8)], axis=1)
  assert hashlib.sha256(rows.tobytes()).hexdigest()[:16] == '68aea062d35a1277'
  assert labels[:10].tolist() == list(range(10)) and labels[-5:].tolist() == [9, 0, 8, 9, 8]
  assert levels[0, 0, :, 0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0] and levels.max() == 16


def test_grey_levels_fill_the_range():
  images, _ = digits.read()
  assert np.array_equal(np.unique(images), np.round(np.arange(17) * 255 / 16))


def test_the_splits_are_the_whole_and_do_not_overlap():
  train, test = digits.table('train'), digits.table('test')
  assert (train.size, test.size) == (1500, 297)
  images, labels = digits.read()
  for name, whole in (('image', images), ('label', labels)):
    assert np.array_equal(np.concatenate([train.load()[name], test.load()[name]]), whole)
  assert set(np.unique(test.load()['label'])) == set(range(10))


@pytest.mark.parametrize('split', ['train', 'test'])
@pytest.mark.parametrize('size, channels, fit', [(None, None, 'resize'), (12, 3, 'pad')])
def test_a_table_is_what_it_says(split, size, channels, fit):
  table = digits.table(split, size, channels, fit)
  arrays = table.load()
  assert arrays['image'].shape == (table.size, size or 8, size or 8, channels or 1)
  for name, field in table.row.items():
    assert arrays[name].shape == (table.size, *field.shape) and arrays[name].dtype == field.dtype
  index = np.array([5, 0, 5, table.size - 1])
  assert all(np.array_equal(v, arrays[k][index]) for k, v in table.fetch(index).items())
  assert table.classes == 10 and table.render is None
  plain = digits.table(split).load()
  assert np.array_equal(arrays['label'], plain['label'])
  middle = slice(2, 10) if fit == 'pad' else slice(None)
  assert np.array_equal(arrays['image'][:, middle, middle, :1], plain['image'])


@pytest.mark.parametrize('size, levels', [(None, 17), (8, 17), (12, 256)])
def test_levels_are_17_as_they_are_and_256_when_resized(size, levels):
  table = digits.table('train', size, 3 if size else None)
  assert table.levels == levels
  values = np.unique(table.load()['image'])
  assert (len(values) == 17) == (levels == 17)


def test_a_batch_is_on_the_grid_of_17_levels():
  made = source.make(digits.table('train'), 300)
  (buffer, _), *_ = made.buffers(0, 1)
  image = np.asarray(made.draw(buffer, jax.random.key(0), jnp.int32(0))['image'])
  assert np.array_equal(np.unique(image), np.arange(17) / 16) and made.example.levels == 17
