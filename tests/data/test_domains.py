"""Rows paired by the names of their files, in folders and in tables."""

import jax
import numpy as np
import pytest
from PIL import Image

from vaejax.config.base import base
from vaejax.data import domains, sources, splits
from vaejax.data.table import of_arrays
from vaejax.errors import UserError

N = 40


def colour(number, domain):
  return (number * 6, 255 if domain == 'b' else 0, 100)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  """40 pictures in a and 41 in b; their red is their number, and b has green."""
  root = tmp_path_factory.mktemp('two')
  for domain, ending in (('a', 'png'), ('b', 'bmp')):
    (root / domain).mkdir()
    for i in range(N + (domain == 'b')):
      Image.new('RGB', (8, 8), colour(i, domain)).save(root / domain / f'{i:03}.{ending}')
  return root


def config(name, source='domain:a>b', **fields):
  data = base('any', {}).data
  data.update({'name': str(name), 'source': source, **fields})
  return data


def numbers(rows):
  """The numbers of the images and of their sources, and whether images are of b, sources of a."""
  loaded = rows.load()
  fetched = rows.fetch(np.arange(rows.size))
  for name in loaded:
    np.testing.assert_array_equal(loaded[name], fetched[name])
  image, source = loaded['image'][:, 0, 0], loaded['source'][:, 0, 0]
  assert (image[:, 1] == 255).all() and (source[:, 1] == 0).all()
  return image[:, 0] // 6, source[:, 0] // 6


def test_a_pair_has_one_name_and_is_in_one_split(folder):
  train, validation, test = splits.tables(config(folder, validation=6), None)
  every = []
  for rows in (train, validation, test):
    image, source = numbers(rows)
    np.testing.assert_array_equal(image, source)
    assert 'label' not in rows.row and rows.size == len(rows.names())
    every += image.tolist()
  assert sorted(every) == list(range(N)) and test.size >= 1 and validation.size == 6
  assert any('no picture of the same name' in note for note in train.notes + test.notes)


def test_unpaired_training_rows_never_have_their_own_source(folder):
  paired = config(folder, validation=6)
  data = config(folder, validation=6, paired=False)
  train, validation, test = splits.tables(data, None)
  image, source = numbers(train)
  assert (image != source).all() and sorted(image) == sorted(source)
  np.testing.assert_array_equal(*numbers(validation))
  np.testing.assert_array_equal(*numbers(test))
  np.testing.assert_array_equal(numbers(splits.table(data, 'train', None))[1], source)
  assert splits.tables(paired, None).train.content() != train.content()


def test_unpaired_rows_of_one_image_have_the_source_of_another():
  image = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
  rows = domains.unpair(of_arrays({'image': image}, None, 'toy'))
  made = sources.test(config('any', 'to:grey'), rows)
  (buffer, _), *_ = made.buffers(0, 1)
  batch = jax.device_get(made.rows(buffer, np.arange(6)))
  assert (np.round(batch['image'][:, 0, 0, 0] * 255) == [0, 1, 2, 3, 4, 5]).all()
  assert (np.round(batch['source'][:, 0, 0, 0] * 255) == [3, 4, 5, 0, 1, 2]).all()


def test_a_folder_can_be_restricted_to_one_domain(folder):
  train, _, test = splits.tables(config(folder, 'small:2', only='a'), None)
  green = np.concatenate([rows.load()['image'][:, 0, 0, 1] for rows in (train, test)])
  assert len(green) == N and (green == 0).all()


def test_what_cannot_be_paired_is_one_line(folder, tmp_path):
  for data, says in (
    (config(folder, 'domain:a>c'), "no picture of .* is in a folder 'c'.* which has a, b"),
    (config(folder, 'domain:c>b'), "in a folder 'c'"),
    (config(folder, 'small:2', only='c'), "in a folder 'c'"),
    (config(folder, '', paired=False), 'needs data.source'),
    (config(folder, 'small:2', styles='photographs'), 'exclude each other'),
    (config('digits', 'domain:a>b'), 'has no files'),
    (config('moving', 'small:2', size=32), 'needs images'),
  ):
    with pytest.raises(UserError, match=says) as error:
      splits.tables(data, None)
    assert '\n' not in str(error.value)
  for name in ('a/1.png', 'b/2.png', 'b/3.png'):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    Image.new('RGB', (8, 8)).save(tmp_path / name)
  with pytest.raises(UserError, match='has the name of a file in'):
    splits.tables(config(tmp_path), None)
