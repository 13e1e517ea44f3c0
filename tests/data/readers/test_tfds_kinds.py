"""Images and labels of every kind that a TFDS set can have, against the values put in."""

import json
import pathlib
import struct
import zlib

import numpy as np
import pytest

from vaejax import units
from vaejax.data.readers import label_names, tfds
from vaejax.data.settings import Settings
from vaejax.data.table import content
from vaejax.errors import UserError


def f():
  import tensorflow_datasets

  return tensorflow_datasets.features


def read(root, split='train', **settings):
  return tfds.table('tiny', split, Settings(**settings), str(root))


def store(root, prepare, feature, values, test=None, **more):
  """Prepares values as 'image' with their numbers as 'label'. Gives the version's folder."""
  number = f().Scalar(np.int64)
  rows = lambda x: [{'image': v, 'label': i} for i, v in enumerate(x)]
  test = values[:2] if test is None else test
  features = {'image': feature, 'label': number}
  return prepare(root, {'train': rows(values), 'test': rows(test)}, features, **more)


def in_order(table):
  """The rows of a table in the order in which they were put in."""
  rows = table.load()
  x = rows['image'][np.argsort(rows['label'])]
  for i in range(table.size):
    assert np.array_equal(table.fetch(np.array([i]))['image'][0], rows['image'][i])
  assert x.dtype == table.row['image'].dtype and x.shape[1:] == table.row['image'].shape
  return x


def numbers(*shape, dtype=np.uint8, seed=0):
  draws = np.random.default_rng(seed)
  if np.dtype(dtype).kind == 'f':
    return (300 * draws.standard_normal(shape)).astype(dtype)
  limits = (0, 2) if dtype is bool else (np.iinfo(dtype).min, np.iinfo(dtype).max)
  return draws.integers(*limits, shape, endpoint=dtype is not bool, dtype=np.int64).astype(dtype)


TENSORS = [
  # dtype, shape, encoding, dtype of rows, levels
  (np.uint8, (5, 6, 3), 'none', np.uint8, 256),
  (np.uint8, (5, 6), 'bytes', np.uint8, 256),
  (np.uint8, (5, 6, 10), 'zlib', np.uint8, 256),
  (np.uint8, (5, 6, 2), 'none', np.uint8, 256),
  (np.uint16, (5, 6, 1), 'none', np.uint16, 65536),
  (np.uint16, (5, 6), 'zlib', np.uint16, 65536),
  (np.float32, (5, 6, 1), 'none', np.float32, 0),
  (np.float32, (5, 6, 5), 'zlib', np.float32, 0),
  (np.float64, (5, 6), 'bytes', np.float32, 0),
  (np.int16, (5, 6, 1), 'none', np.float32, 0),
]


@pytest.mark.parametrize('dtype, shape, encoding, stored, levels', TENSORS)
def test_tensors_are_images_in_their_own_units(
  tmp_path, prepare, dtype, shape, encoding, stored, levels
):
  x = numbers(7, *shape, dtype=dtype)
  store(tmp_path, prepare, f().Tensor(shape=shape, dtype=dtype, encoding=encoding), x)
  table = read(tmp_path)
  want = x.reshape(7, 5, 6, -1).astype(stored)
  assert np.array_equal(in_order(table), want)
  assert (table.levels, table.row['image'].dtype) == (levels, stored)
  if stored == np.uint8:
    assert table.units is None
  else:
    in_table = want[np.argsort(np.argsort(table.load()['label']))]
    assert table.units == units.fit(table.load()['image']) and in_table.dtype == stored


@pytest.mark.parametrize('shape', [(3, 6, 8), (5, 6, 6), (1, 6, 6)])
def test_tensors_with_channels_first(tmp_path, prepare, shape):
  x = numbers(7, *shape, dtype=np.float32)
  store(tmp_path, prepare, f().Tensor(shape=shape, dtype=np.float32), x)
  table = read(tmp_path)
  assert np.array_equal(in_order(table), np.moveaxis(x, 1, -1))
  assert 'which is read as [N, C, H, W]' in table.notes[0]


def test_booleans_are_black_and_white(tmp_path, prepare):
  x = numbers(6, 4, 4, dtype=bool)
  store(tmp_path, prepare, f().Tensor(shape=(4, 4), dtype=np.bool_), x)
  table = read(tmp_path)
  assert np.array_equal(in_order(table)[..., 0], 255 * x.astype(np.uint8)) and table.levels == 2


def test_tensors_of_any_size_need_a_size(tmp_path, prepare):
  from vaejax.data.fit import fit_image

  x = [numbers(h, 5, 3, seed=h) for h in (4, 6, 9)]
  store(tmp_path, prepare, f().Tensor(shape=(None, None, 3), dtype=np.uint8, encoding='zlib'), x)
  with pytest.raises(UserError, match=r'differ in size\. Set data\.size'):
    read(tmp_path)
  assert np.array_equal(in_order(read(tmp_path, size=8)), [fit_image(a, 8) for a in x])


def png16(x):
  """The bytes of a PNG with 16 bits a channel, of uint16 [h, w, c], which PIL cannot write."""
  h, w, c = x.shape
  chunk = lambda kind, data: (
    struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))
  )
  header = struct.pack('>IIBBBBB', w, h, 16, {1: 0, 3: 2, 4: 6}[c], 0, 0, 0)
  rows = b''.join(b'\0' + row.astype('>u2').tobytes() for row in x)
  parts = (b'IHDR', header), (b'IDAT', zlib.compress(rows)), (b'IEND', b'')
  return b'\x89PNG\r\n\x1a\n' + b''.join(chunk(*part) for part in parts)


@pytest.mark.parametrize('channels', [1, 3, 4])
def test_images_of_16_bits_keep_them(tmp_path, prepare, channels):
  x = numbers(6, 5, 7, channels, dtype=np.uint16)
  feature = f().Image(shape=(5, 7, channels), dtype=np.uint16, encoding_format='png')
  store(tmp_path, prepare, feature, [png16(a) for a in x], [png16(x[0] // 256)])
  train, test = (read(tmp_path, s) for s in ('train', 'test'))
  assert np.array_equal(in_order(train), x) and np.array_equal(in_order(test), x[:1] // 256)
  assert train.levels == test.levels == 65536
  # The same for all splits, so a value means the same in each.
  assert train.units == test.units == units.fit(train.load()['image'])


def test_images_of_floats_are_those_bits(tmp_path, prepare):
  from PIL import Image

  x = numbers(6, 5, 7, 1, dtype=np.float32)
  bytes_of = [Image.fromarray(a.view(np.uint8).reshape(5, 7, 4), 'RGBA') for a in x]
  folder = store(tmp_path, prepare, f().Image(shape=(5, 7, 4)), bytes_of)
  # TFDS itself wants TensorFlow to write them as floats.
  path = pathlib.Path(folder, 'features.json')
  features = json.loads(path.read_text())
  image = features['featuresDict']['features']['image']['image']
  image['dtype'], image['shape']['dimensions'][-1] = 'float32', '1'
  path.write_text(json.dumps(features))
  table = read(tmp_path, transform='asinh', low=-1.0, high=2.0)
  assert np.array_equal(in_order(table), x) and table.levels == 0
  assert table.units == units.fit(table.load()['image'], 'asinh', -1.0, 2.0)


def test_units_are_fitted_to_a_sample_of_train_that_is_always_the_same(
  tmp_path, prepare, monkeypatch
):
  x = numbers(40, 4, 4, 1, dtype=np.float32)
  store(tmp_path, prepare, f().Tensor(shape=(4, 4, 1), dtype=np.float32), x)
  monkeypatch.setattr(tfds, '_UNIT_ROWS', (1, 5))
  train, test = (read(tmp_path, s) for s in ('train', 'test'))
  want = units.fit(train.load()['image'][[0, 9, 19, 29, 39]])
  assert train.units == test.units == want


@pytest.mark.parametrize(
  'value, settings, message',
  [
    (np.nan, {}, r'row [0-2] of tiny/1\.0\.0 train in .*: it has numbers that are not finite'),
    (-1.0, {'transform': 'log'}, r'^data.transform=\w+ .*smallest value is -1'),
  ],
)
def test_numbers_that_cannot_be_trained_on(tmp_path, prepare, value, settings, message):
  x = np.ones((3, 4, 4, 1), np.float32)
  x[1, 2, 3] = value
  store(tmp_path, prepare, f().Tensor(shape=(4, 4, 1), dtype=np.float32), x, x[:1])
  with pytest.raises(UserError, match=message) as error:
    read(tmp_path, **settings)
  assert '\n' not in str(error.value)


def test_of_several_fields_those_that_are_named(tmp_path, prepare, pictures):
  a, b = pictures(2, (4, 4, 3))
  features = {
    'a': f().Image(shape=(4, 4, 3)),
    'inner': {'b': f().Image(shape=(4, 4, 3)), 'kind': f().ClassLabel(names=['x', 'y'])},
    'depth': f().Tensor(shape=(4, 4), dtype=np.float32),
    'age': f().Tensor(shape=(1,), dtype=np.int32),
  }
  depth = numbers(4, 4, dtype=np.float32)
  row = {'a': a, 'inner': {'b': b, 'kind': 'y'}, 'depth': depth, 'age': [7]}
  prepare(tmp_path, {'train': [row], 'test': [row]}, features)
  with pytest.raises(UserError, match=r'several images. Choose one by data.field=a \(a, inner/b\)'):
    read(tmp_path)
  assert np.array_equal(read(tmp_path, field='inner/b').load()['image'][0], b)
  floats = read(tmp_path, field='depth', label='age')
  assert np.array_equal(floats.load()['image'][0, ..., 0], depth)
  assert (floats.load()['label'], floats.class_names) == ([0], ('7',))
  table = read(tmp_path, field='a', label='inner/kind')
  assert np.array_equal(table.load()['image'][0], a)
  assert (table.load()['label'], table.class_names, table.classes) == ([1], ('x', 'y'), 2)
  for settings, message in (
    ({'field': 'age'}, "data.field='age' is not an image of .*, which has .*age Tensor int32"),
    (
      {'field': 'a', 'label': 'a'},
      "data.label='a' is not a label of .*inner/kind ClassLabel int64",
    ),
  ):
    with pytest.raises(UserError, match=message):
      read(tmp_path, **settings)


LABELS = [
  # values of train and test, the feature, their numbers, the names
  ([5, 0, 9, -1], [9, 7], np.int64, [1, 0, 3, -1], [3, 2], ('0', '5', '7', '9')),
  (['dog', '', 'cat', 'dog'], ['owl'], 'text', [1, -1, 0, 1], [2], ('cat', 'dog', 'owl')),
  ([True, False, True], [True], np.bool_, [1, 0, 1], [1], ('0', '1')),
  ([2**40, 3, 3], [3], np.int64, [1, 0, 0], [0], ('3', str(2**40))),
]


@pytest.mark.parametrize('train, test, kind, number, of_test, names', LABELS)
def test_labels_of_any_kind_become_classes(
  tmp_path, prepare, pictures, train, test, kind, number, of_test, names
):
  feature = f().Text() if kind == 'text' else f().Scalar(kind)
  shots = pictures(len(train), (4, 4, 3))
  rows = {
    split: [{'image': shots[i], 'label': v} for i, v in enumerate(values)]
    for split, values in (('train', train), ('test', test))
  }
  prepare(tmp_path, rows, {'image': f().Image(shape=(4, 4, 3)), 'label': feature})
  for split, want in (('train', number), ('test', of_test)):
    table = read(tmp_path, split)
    assert (table.classes, table.class_names) == (len(names), names)
    got = table.load()
    assert got['label'].dtype == np.int32 and np.array_equal(table.labels(), got['label'])
    order = [next(i for i, p in enumerate(shots) if np.array_equal(p, x)) for x in got['image']]
    assert got['label'].tolist() == [want[i] for i in order]
    assert np.array_equal(table.fetch(np.arange(table.size))['label'], got['label'])


def test_names_of_classes_are_read_once(tmp_path, prepare, pictures, monkeypatch, cache):
  rows = [{'image': p, 'label': 'ab'[i % 2]} for i, p in enumerate(pictures(6, (4, 4, 3)))]
  features = {'image': f().Image(shape=(4, 4, 3)), 'label': f().Text()}
  folder = prepare(tmp_path, {'train': rows, 'test': rows[:1]}, features)
  assert read(tmp_path).class_names == read(tmp_path, 'test').class_names == ('a', 'b')
  monkeypatch.setattr(label_names, 'blocks', None)
  assert read(tmp_path).class_names == ('a', 'b')
  (stored,) = cache.glob('*.json')
  stored.write_text('{')
  with pytest.raises(UserError, match=f'cannot read {folder}'):  # it is read again
    read(tmp_path)


def test_class_names_of_a_class_label(tmp_path, prepare, pictures):
  row = {'image': pictures(1, (4, 4, 3))[0], 'label': 'dog'}
  for i, (given, names) in enumerate(
    [({'names': ['cat', 'dog']}, ('cat', 'dog')), ({'num_classes': 2}, ())]
  ):
    features = {'image': f().Image(shape=(4, 4, 3)), 'label': f().ClassLabel(**given)}
    rows = {'train': [row | {'label': 1}]}
    prepare(tmp_path / str(i), rows, features)
    table = read(tmp_path / str(i))
    assert (table.class_names, table.classes, table.load()['label']) == (names, 2, [1])


def test_one_example_is_both_splits(tmp_path, prepare, pictures):
  prepare(
    tmp_path,
    {'train': [{'image': pictures(1, (4, 4, 3))[0]}]},
    {'image': f().Image(shape=(4, 4, 3))},
  )
  train, test = (read(tmp_path, s) for s in ('train', 'test'))
  assert np.array_equal(train.load()['image'], test.load()['image']) and train.size == 1
  assert train.notes == test.notes == ('tiny/1.0.0 has one example, which is both train and test',)


def test_what_identifies_rows_is_their_values(tmp_path, prepare, pictures, monkeypatch):
  """Not the place, the name or the labels of a set."""
  features = {'image': f().Image(shape=(4, 4, 3))}
  rows = lambda n, seed=0, **more: [{'image': p} | more for p in pictures(n, (4, 4, 3), seed)]
  prepare(tmp_path / 'a', {'train': rows(8)}, features)
  prepare(
    tmp_path / 'b', {'train': rows(8, label=1)}, features | {'label': f().ClassLabel(num_classes=3)}
  )
  prepare(tmp_path / 'c', {'train': rows(8, 1)}, features)
  for exact in (2**28, 10):
    monkeypatch.setattr(tfds.fingerprint, 'EXACT_BYTES', exact)
    a, b, c = (content(read(tmp_path / x)) for x in 'abc')
    assert a['image'] == b['image'] != c['image'] and b.keys() == {'image', 'label'}
