"""TFDS sets read without TensorFlow: content, order, splits, fields, and the decoded cache."""

import concurrent.futures
import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from vaejax.data.readers import tfds
from vaejax.data.settings import Settings
from vaejax.errors import UserError

GENUINE = os.path.join(os.path.dirname(__file__), *['..'] * 3, 'shared', 'tensorflow_datasets')


def image(*shape, **settings):
  import tensorflow_datasets

  return tensorflow_datasets.features.Image(shape=shape, **settings)


def label(n=3):
  import tensorflow_datasets

  return tensorflow_datasets.features.ClassLabel(num_classes=n)


def reference(folder, split):
  """The rows as TFDS itself gives them, but for decoding, where it takes OpenCV if it is there."""
  import tensorflow_datasets
  from PIL import Image

  builder = tensorflow_datasets.builder_from_directory(folder)
  decoders = {'image': tensorflow_datasets.decode.SkipDecoding()}
  shape = builder.info.features['image'].shape
  pixels = lambda png: np.asarray(Image.open(io.BytesIO(png))).reshape(shape)
  source = builder.as_data_source(split, decoders=decoders)
  return [row | {'image': pixels(row['image'])} for row in source]


def assert_same(got, want):
  assert len(got['image']) == len(want)
  for i, row in enumerate(want):
    assert np.array_equal(got['image'][i], row['image'])
    assert 'label' not in got or got['label'][i] == row['label']


@pytest.mark.parametrize('encoding', ['png', 'jpeg'])
@pytest.mark.parametrize('channels', [1, 3])
def test_rows_are_those_of_tfds_in_its_order(tmp_path, prepare, pictures, encoding, channels):
  shape = (8, 7) if channels == 1 else (8, 7, 3)
  rows = [{'label': i % 3, 'image': p} for i, p in enumerate(pictures(30, shape))]
  features = {'image': image(8, 7, channels, encoding_format=encoding), 'label': label()}
  folder = prepare(tmp_path, {'train': rows, 'test': rows[:4]}, features)
  table = tfds.table('tiny', 'train', data_dir=str(tmp_path))
  want = reference(folder, 'train')
  assert (table.size, table.classes, table.render) == (30, 3, None)
  assert {k: (v.shape, v.dtype) for k, v in table.row.items()} == {
    'image': ((8, 7, channels), np.uint8),
    'label': ((), np.int32),
  }
  assert_same(table.load(), want)
  assert_same(table.load(), want)  # the cached one
  assert_same(tfds.table('tiny', 'test', data_dir=str(tmp_path)).load(), reference(folder, 'test'))
  for indices in ([3, 29, 0, 3], []):
    got = table.fetch(np.array(indices, np.int32))
    assert got['image'].dtype == np.uint8 and got['label'].dtype == np.int32
    assert got['image'].shape == (len(indices), 8, 7, channels)
    assert_same(got, [want[i] for i in indices])


def test_fetch_may_be_called_from_many_threads(tiny):
  table = tfds.table(str(tiny), 'train')
  want = reference(tiny, 'train')
  draws = np.random.default_rng(0).integers(0, 20, (40, 9))
  with concurrent.futures.ThreadPoolExecutor(8) as pool:
    for indices, got in zip(draws, pool.map(table.fetch, draws), strict=True):
      assert_same(got, [want[i] for i in indices])


def test_fitted_to_size_and_channels(tiny):
  from vaejax.data.fit import fit_image

  want = reference(tiny, 'test')
  for mode in ('resize', 'pad'):
    table = tfds.table(str(tiny), 'test', Settings(12, 1, mode))
    assert table.row['image'].shape == (12, 12, 1)
    fitted = [{'image': fit_image(r['image'], 12, 1, mode), 'label': r['label']} for r in want]
    assert_same(table.load(), fitted)
    assert_same(table.fetch(np.arange(6)), fitted)
  padded = tfds.table(str(tiny), 'test', Settings(12, 1, 'pad', 'white')).load()['image']
  assert (padded[:, [0, 1, 10, 11]] == 255).all()
  with pytest.raises(UserError, match=r'data\.fit'):
    tfds.table(str(tiny), 'test', Settings(fit='stretch'))


def test_decoded_once_until_the_source_changes(tiny, monkeypatch, cache):
  import PIL.Image

  decode, calls = PIL.Image.open, []
  monkeypatch.setattr(PIL.Image, 'open', lambda *a, **k: calls.append(0) or decode(*a, **k))
  first = tfds.table(str(tiny), 'train').load()
  assert len(calls) == 20
  again = tfds.table(str(tiny.parent), 'train').load()
  assert len(calls) == 20 and np.array_equal(first['image'], again['image'])
  tfds.table(str(tiny), 'test').load()
  for size, fit in ((9, 'resize'), (10, 'resize'), (10, 'pad')):
    tfds.table(str(tiny), 'train', Settings(size, fit=fit)).load()
  assert len(calls) == 86 and len(os.listdir(cache)) == 5
  (shard,) = tiny.glob('*-train.array_record*')
  os.utime(shard, ns=(1, 1))
  tfds.table(str(tiny), 'train').load()
  assert len(calls) == 106
  shutil.copytree(tiny, tiny.parent / '2.0.0')
  tfds.table(str(tiny.parent / '2.0.0'), 'train').load()
  assert len(calls) == 126


def splits(tmp_path, prepare, pictures, **counts):
  rows = {s: [{'image': p} for p in pictures(n, (4, 4, 3), n)] for s, n in counts.items()}
  return prepare(tmp_path, rows, {'image': image(4, 4, 3)})


def test_validation_stands_for_a_missing_test(tmp_path, prepare, pictures):
  folder = splits(tmp_path, prepare, pictures, train=10, validation=4)
  for split, of in (('train', 'train'), ('test', 'validation'), ('validation', 'validation')):
    assert_same(tfds.table('tiny', split, data_dir=str(tmp_path)).load(), reference(folder, of))


@pytest.mark.parametrize('n, held', [(25, 2), (7, 1)])
def test_the_last_tenth_of_train_is_held_out(tmp_path, prepare, pictures, n, held):
  folder = splits(tmp_path, prepare, pictures, train=n, extra=3)
  want = reference(folder, 'train')
  train, test = (tfds.table('tiny', split, data_dir=str(tmp_path)) for split in ('train', 'test'))
  assert (train.size, test.size) == (n - held, held)
  assert_same(train.load(), want[:-held])
  assert_same(test.load(), want[-held:])
  assert_same(test.fetch(np.array([held - 1])), want[-1:])
  extra = tfds.table('tiny', 'extra', data_dir=str(tmp_path))
  assert_same(extra.load(), reference(folder, 'extra'))


def fields(tmp_path, prepare, rows, features, **settings):
  prepare(tmp_path, {'train': rows, 'test': rows}, features)
  return tfds.table('tiny', 'test', Settings(**settings), str(tmp_path))


def test_the_only_image_and_the_only_class_are_taken(tmp_path, prepare, pictures):
  rows = [{'photo': p, 'kind': i, 'age': 7} for i, p in enumerate(pictures(3, (4, 4, 3)))]
  features = {'photo': image(4, 4, 3), 'kind': label(3), 'age': np.int64}
  table = fields(tmp_path, prepare, rows, features)
  assert table.row.keys() == {'image', 'label'} and table.classes == 3
  assert sorted(table.load()['label']) == [0, 1, 2]


def test_those_called_image_and_label_come_first(tmp_path, prepare, pictures):
  a, b = pictures(2, (4, 4, 3))
  features = {'a': image(4, 4, 3), 'image': image(4, 4, 3), 'k': label(9), 'label': label(2)}
  table = fields(tmp_path, prepare, [{'a': a, 'image': b, 'k': 8, 'label': 1}], features)
  assert table.classes == 2 and table.load()['label'] == [1]
  assert np.array_equal(table.load()['image'][0], b)


@pytest.mark.parametrize('extra', [{}, {'k': 1, 'm': 2}, {'age': 5}, {'k': 1}])
def test_no_label_where_none_is_meant(tmp_path, prepare, pictures, extra):
  kinds = {'k': label(9), 'm': label(9), 'age': np.int64}
  features = {'image': image(4, 4, 3)} | {k: kinds[k] for k in extra}
  settings = {'label': 'none'} if len(extra) == 1 else {}
  rows = [{'image': pictures(1, (4, 4, 3))[0]} | extra]
  table = fields(tmp_path, prepare, rows, features, **settings)
  notes = [f'{tmp_path}/tiny/1.0.0 has several labels (k, m) and none is read']
  assert [n.split('.  ')[0].split('. Choose')[0] for n in table.notes] == notes[: len(extra) // 2]
  assert table.classes is None and table.row.keys() == {'image'} == table.load().keys()
  assert table.fetch(np.array([0])).keys() == {'image'}


def test_unlabelled_rows_of_a_labelled_set_are_minus_one(tmp_path, prepare, pictures):
  rows = [{'image': pictures(1, (4, 4, 3))[0], 'label': -1}]
  assert fields(tmp_path, prepare, rows, {'image': image(4, 4, 3), 'label': label()}).load()[
    'label'
  ] == [-1]


def test_images_of_many_sizes_need_a_size(tmp_path, prepare, pictures):
  rows = [{'image': pictures(1, (h, 5, 3))[0]} for h in (4, 6, 9)]
  features = {'image': image(None, None, 3)}
  with pytest.raises(UserError, match=r'images of .* differ in size\. Set data\.size'):
    fields(tmp_path, prepare, rows, features)
  table = tfds.table('tiny', 'test', Settings(8), str(tmp_path))
  assert table.load()['image'].shape == (3, 8, 8, 3) == table.fetch(np.arange(3))['image'].shape


def test_grey_palette_and_alpha_in_a_colour_set_become_colour(tmp_path, prepare, pictures):
  from PIL import Image

  colour = pictures(1, (6, 6, 3))[0].quantize(16).convert('RGB')
  alpha, clear = colour.copy(), colour.convert('L').convert('LA')
  alpha.putalpha(51)
  clear.putalpha(0)
  kinds = [colour.quantize(16), colour.convert('L'), alpha, clear, colour.convert('1')]
  # A fifth of the colour on white.
  fifth = Image.fromarray(np.rint(np.asarray(colour) / 5 + 204).astype(np.uint8))
  white = Image.new('RGB', (6, 6), 'white')
  grey = colour.convert('L').convert('RGB')
  want = [colour, grey, fifth, white, colour.convert('1').convert('RGB')]
  for kind, out in zip(kinds, want, strict=True):
    png = io.BytesIO()
    kind.save(png, 'PNG')
    folder = tmp_path / kind.mode
    prepare(folder, {'test': [{'image': png.getvalue()}]}, {'image': image(6, 6, 3)})
    got = tfds.table('tiny', 'test', data_dir=str(folder)).load()['image'][0]
    assert abs(got.astype(int) - np.asarray(out)).max() <= (kind is alpha)
    read = lambda below, folder=folder: tfds.table(
      'tiny', 'test', Settings(background=below), str(folder)
    ).load()['image'][0]
    assert (read('0,255,9') == [0, 255, 9]).all() == (kind is clear)


def test_array_record_beside_another_format_is_taken(tiny):
  want = reference(tiny, 'train')
  change = {'fileFormat': 'tfrecord', 'alternativeFileFormats': ['array_record']}
  info = tiny / 'dataset_info.json'
  info.write_text(json.dumps(json.loads(info.read_text()) | change))
  assert_same(tfds.table(str(tiny), 'train').load(), want)


def test_importing_the_reader_is_cheap():
  code = (
    'import sys; from vaejax.data.readers import tfds; '
    'print([m for m in ("tensorflow_datasets", "PIL", "tensorflow") if m in sys.modules])'
  )
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert done.stdout.strip() == '[]'


def test_the_genuine_mnist():
  if not os.path.isdir(os.path.join(GENUINE, 'mnist')):
    pytest.skip('no prepared MNIST in ../shared/tensorflow_datasets')
  train, test = (tfds.table('mnist', s, data_dir=GENUINE) for s in ('train', 'test'))
  assert (train.size, test.size, train.classes) == (60000, 10000, 10)
  arrays = test.load()
  assert arrays['image'].shape == (10000, 28, 28, 1)
  assert np.bincount(arrays['label']).tolist() == [
    *(980, 1135, 1032, 1010, 982),
    *(892, 958, 1028, 974, 1009),
  ]
  assert round(arrays['image'].mean() / 255, 4) == 0.1325  # of the published test images
  want = reference(os.path.join(GENUINE, 'mnist', '3.0.1'), 'train[59990:]')
  assert_same(train.fetch(np.arange(59990, 60000)), want)


@pytest.mark.parametrize('name', ['binarized_mnist', 'dsprites'])
def test_some_are_stored_as_0_and_1(tmp_path, prepare, name):
  from PIL import Image

  bits = np.random.default_rng(0).integers(0, 2, (4, 8, 8), np.uint8)
  rows = {split: [{'image': Image.fromarray(b)} for b in bits] for split in ('train', 'test')}
  prepare(tmp_path, rows, {'image': image(8, 8, 1)}, name=name)
  found = tfds.table(name, 'test', data_dir=str(tmp_path)).load()['image']
  assert sorted(np.unique(found)) == [0, 255]
  assert np.mean(found) / 255 == np.mean(bits)
