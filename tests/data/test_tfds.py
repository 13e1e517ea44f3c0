"""TFDS sets by name and by directory: content, splits, fields, and what is said of broken ones."""

import concurrent.futures
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from vaejax.data import official, tfds
from vaejax.errors import UserError

GENUINE = os.path.join(os.path.dirname(__file__), *['..'] * 3, 'shared', 'tensorflow_datasets')


def image(*shape, **settings):
  import tensorflow_datasets

  return tensorflow_datasets.features.Image(shape=shape, **settings)


def label(n=3):
  import tensorflow_datasets

  return tensorflow_datasets.features.ClassLabel(num_classes=n)


@pytest.fixture
def tiny(tmp_path, prepare, pictures):
  """A set of 20 and 6 labelled colour images in data_dir tmp_path."""
  rows = {
    split: [{'image': p, 'label': i % 3} for i, p in enumerate(pictures(n, (8, 7, 3), n))]
    for split, n in (('train', 20), ('test', 6))
  }
  return pathlib.Path(prepare(tmp_path, rows, {'image': image(8, 7, 3), 'label': label()}))


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
  table = tfds.table('tiny', 'train', str(tmp_path))
  want = reference(folder, 'train')
  assert (table.size, table.classes, table.render) == (30, 3, None)
  assert {k: (v.shape, v.dtype) for k, v in table.row.items()} == {
    'image': ((8, 7, channels), np.uint8),
    'label': ((), np.int32),
  }
  assert_same(table.load(), want)
  assert_same(table.load(), want)  # the cached one
  assert_same(tfds.table('tiny', 'test', str(tmp_path)).load(), reference(folder, 'test'))
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
  from vaejax.data.fit import fit

  want = reference(tiny, 'test')
  for mode in ('resize', 'pad'):
    table = tfds.table(str(tiny), 'test', size=12, channels=1, fit=mode)
    assert table.row['image'].shape == (12, 12, 1)
    fitted = [{'image': fit(r['image'], 12, 1, mode), 'label': r['label']} for r in want]
    assert_same(table.load(), fitted)
    assert_same(table.fetch(np.arange(6)), fitted)
  with pytest.raises(UserError, match=r'data\.fit'):
    tfds.table(str(tiny), 'test', fit='crop')


def test_decoded_once_until_the_source_changes(tiny, monkeypatch, cache):
  import PIL.Image

  decode, calls = PIL.Image.open, []
  monkeypatch.setattr(PIL.Image, 'open', lambda *a, **k: calls.append(0) or decode(*a, **k))
  first = tfds.table(str(tiny), 'train').load()
  assert len(calls) == 20
  again = tfds.table(str(tiny.parent), 'train').load()
  assert len(calls) == 20 and np.array_equal(first['image'], again['image'])
  tfds.table(str(tiny), 'test').load()
  tfds.table(str(tiny), 'train', size=9).load()
  assert len(calls) == 46 and len(os.listdir(cache)) == 3
  (shard,) = tiny.glob('*-train.array_record*')
  os.utime(shard, ns=(1, 1))
  tfds.table(str(tiny), 'train').load()
  assert len(calls) == 66
  shutil.copytree(tiny, tiny.parent / '2.0.0')
  tfds.table(str(tiny.parent / '2.0.0'), 'train').load()
  assert len(calls) == 86


def splits(tmp_path, prepare, pictures, **counts):
  rows = {s: [{'image': p} for p in pictures(n, (4, 4, 3), n)] for s, n in counts.items()}
  return prepare(tmp_path, rows, {'image': image(4, 4, 3)})


def test_validation_stands_for_a_missing_test(tmp_path, prepare, pictures):
  folder = splits(tmp_path, prepare, pictures, train=10, validation=4)
  for split, of in (('train', 'train'), ('test', 'validation'), ('validation', 'validation')):
    assert_same(tfds.table('tiny', split, str(tmp_path)).load(), reference(folder, of))


@pytest.mark.parametrize('n, held', [(25, 2), (7, 1)])
def test_the_last_tenth_of_train_is_held_out(tmp_path, prepare, pictures, n, held):
  folder = splits(tmp_path, prepare, pictures, train=n, extra=3)
  want = reference(folder, 'train')
  train, test = (tfds.table('tiny', split, str(tmp_path)) for split in ('train', 'test'))
  assert (train.size, test.size) == (n - held, held)
  assert_same(train.load(), want[:-held])
  assert_same(test.load(), want[-held:])
  assert_same(test.fetch(np.array([held - 1])), want[-1:])
  assert_same(tfds.table('tiny', 'extra', str(tmp_path)).load(), reference(folder, 'extra'))


@pytest.mark.parametrize('split', ['unlabelled', 'validation', 'train[:5]', '', 'all'])
def test_other_splits_are_refused_with_those_that_exist(tiny, split):
  with pytest.raises(UserError, match=rf'no split {split!r}'.replace('[', r'\[')) as error:
    tfds.table(str(tiny), split)
  assert 'it has ' in str(error.value) and 'train' in str(error.value)


def test_a_single_row_cannot_be_parted(tmp_path, prepare, pictures):
  splits(tmp_path, prepare, pictures, train=1)
  with pytest.raises(UserError, match="split 'train' has no rows"):
    tfds.table('tiny', 'train', str(tmp_path))


def test_the_newest_version_unless_one_is_named(tmp_path, prepare, pictures, monkeypatch):
  for n, version in ((3, '1.2.0'), (4, '1.10.0')):
    rows = {'test': [{'image': p} for p in pictures(n, (4, 4, 3))]}
    prepare(tmp_path, rows, {'image': image(4, 4, 3)}, version=version)
  (tmp_path / 'tiny' / '9.0.0').mkdir()
  root = str(tmp_path)
  size = lambda name, data_dir=root: tfds.table(name, 'test', data_dir).size
  assert size('tiny') == size('tiny:1.10.0') == size('tiny:1.*.*') == size(f'{root}/tiny') == 4
  assert size('tiny:1.2.0') == size('tiny/1.2.0') == size(f'{root}/tiny/1.2.0', None) == 3
  monkeypatch.setenv('TFDS_DATA_DIR', root)
  assert size('tiny', None) == 4
  monkeypatch.chdir(tmp_path)
  assert size('./tiny', None) == size('tiny/', None) == 4
  with pytest.raises(UserError, match=r'tiny:3\.0\.0 is not prepared .* has tiny:1\.10\.0'):
    size('tiny:3.0.0')


def test_configs_are_named_where_there_are_several(tmp_path, prepare, pictures):
  def add(config, n):
    rows = {'test': [{'image': p} for p in pictures(n, (4, 4, 3))]}
    prepare(tmp_path, rows, {'image': image(4, 4, 3)}, config=config)

  size = lambda name: tfds.table(name, 'test', str(tmp_path)).size
  add('32x32', 3)
  assert size('tiny') == size('tiny/32x32') == size('tiny/32x32:1.0.0') == 3
  add('a-b.c', 4)  # each preparation notes its config as the default
  assert size('tiny') == size('tiny/a-b.c/1.0.0') == 4
  shutil.rmtree(tmp_path / 'tiny' / '.config')
  with pytest.raises(UserError, match=r'several configs, name one of: 32x32, a-b\.c'):
    size('tiny')
  with pytest.raises(UserError, match=r'tiny/no is not prepared .*tiny/32x32:1\.0\.0, tiny/a-b'):
    size('tiny/no')


def fields(tmp_path, prepare, rows, features, **settings):
  prepare(tmp_path, {'train': rows, 'test': rows}, features)
  return tfds.table('tiny', 'test', str(tmp_path), **settings)


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


@pytest.mark.parametrize('extra', [{}, {'k': 1, 'm': 2}, {'label': 5}])
def test_no_label_where_none_is_meant(tmp_path, prepare, pictures, extra):
  kinds = {'k': label(9), 'm': label(9), 'label': np.int64}
  features = {'image': image(4, 4, 3)} | {k: kinds[k] for k in extra}
  table = fields(tmp_path, prepare, [{'image': pictures(1, (4, 4, 3))[0]} | extra], features)
  assert table.classes is None and table.row.keys() == {'image'} == table.load().keys()
  assert table.fetch(np.array([0])).keys() == {'image'}


def test_unlabelled_rows_of_a_labelled_set_are_minus_one(tmp_path, prepare, pictures):
  rows = [{'image': pictures(1, (4, 4, 3))[0], 'label': -1}]
  assert fields(tmp_path, prepare, rows, {'image': image(4, 4, 3), 'label': label()}).load()[
    'label'
  ] == [-1]


@pytest.mark.parametrize('names, said', [('ab', 'it has a, b'), ('', 'it has none')])
def test_one_image_is_needed(tmp_path, prepare, pictures, names, said):
  row = {'x': 1} | {n: pictures(1, (4, 4, 3))[0] for n in names}
  features = {'x': np.int64} | {n: image(4, 4, 3) for n in names}
  with pytest.raises(UserError, match=f'one image feature is needed, {said}'):
    fields(tmp_path, prepare, [row], features)


def test_images_of_many_sizes_need_a_size(tmp_path, prepare, pictures):
  rows = [{'image': pictures(1, (h, 5, 3))[0]} for h in (4, 6, 9)]
  features = {'image': image(None, None, 3)}
  with pytest.raises(UserError, match=r'images differ in size: set data\.size'):
    fields(tmp_path, prepare, rows, features)
  table = tfds.table('tiny', 'test', str(tmp_path), size=8)
  assert table.load()['image'].shape == (3, 8, 8, 3) == table.fetch(np.arange(3))['image'].shape


def test_only_bytes_are_images(tmp_path, prepare):
  from PIL import Image

  deep = io.BytesIO()
  Image.fromarray(np.zeros((4, 4), np.uint16)).save(deep, 'PNG')
  row = {'image': deep.getvalue()}
  with pytest.raises(UserError, match=r'must be uint8 .* they are uint16'):
    fields(tmp_path, prepare, [row], {'image': image(4, 4, 1, dtype=np.uint16)})
  lying = prepare(tmp_path / 'b', {'test': [row]}, {'image': image(4, 4, 1)})
  with pytest.raises(UserError, match='not 8 bits'):
    tfds.table(lying, 'test').load()


def test_grey_palette_and_alpha_in_a_colour_set_become_colour(tmp_path, prepare, pictures):
  colour = pictures(1, (6, 6, 3))[0].quantize(16).convert('RGB')
  alpha = colour.copy()
  alpha.putalpha(9)
  kinds = [colour.quantize(16), colour.convert('L'), alpha]
  want = [colour, colour.convert('L').convert('RGB'), colour]
  for kind, out in zip(kinds, want, strict=True):
    png = io.BytesIO()
    kind.save(png, 'PNG')
    folder = tmp_path / kind.mode
    prepare(folder, {'test': [{'image': png.getvalue()}]}, {'image': image(6, 6, 3)})
    got = tfds.table('tiny', 'test', str(folder)).load()['image'][0]
    assert np.array_equal(got, np.asarray(out))


def said(*args, **settings):
  """The one line of the UserError that reading a set raises."""
  with pytest.raises(UserError) as error:
    tfds.table(*args, **settings).load()
  assert '\n' not in str(error.value)
  return str(error.value)


def edit(path, change):
  content = json.loads(path.read_text())
  change(content)
  path.write_text(json.dumps(content))


def test_tfrecord_is_to_be_prepared_again(tiny):
  edit(tiny / 'dataset_info.json', lambda c: c.update(fileFormat='tfrecord'))
  for shard in tiny.glob('*.array_record*'):
    shard.rename(str(shard).replace('array_record', 'tfrecord'))
  assert 'stored as tfrecord' in said(str(tiny), 'train')
  assert '--file_format=array_record' in said(str(tiny), 'train')


def test_array_record_beside_another_format_is_taken(tiny):
  want = reference(tiny, 'train')
  change = {'fileFormat': 'tfrecord', 'alternativeFileFormats': ['array_record']}
  edit(tiny / 'dataset_info.json', lambda c: c.update(change))
  assert_same(tfds.table(str(tiny), 'train').load(), want)


def test_names_that_are_not_there(tiny, tmp_path, monkeypatch):
  root = str(tmp_path)
  monkeypatch.setattr(official, 'obtainable', lambda *_: False)
  for name in ('svhn_cropped', 'imagenet_resized/64x64'):
    line = said(name, 'train', root)
    assert f'{name} is not prepared in {root}, which has tiny:1.0.0; prepare it where' in line
    assert f'tfds build {name.split("/")[0]} --file_format=array_record' in line
  assert 'no dataset is called minst; the nearest names are mnist' in said('minst', 'train', root)
  assert 'nearest names are mnist' in said('MNIST', 'train', root)
  assert 'nearest names are tiny' in said('tiiny', 'train', root)
  every = said('qqq', 'train', root)
  assert all(n in every for n in (*official.FILES, 'digits', 'shapes', 'tiny'))
  os.mkdir(tmp_path / 'empty')
  assert 'which has no dataset' in said('svhn_cropped', 'train', f'{root}/empty')


def test_places_that_are_not_there(tiny, tmp_path, monkeypatch):
  assert said('mnist', 'train', f'{tmp_path}/no') == f'data_dir {tmp_path}/no is not a directory'
  monkeypatch.setenv('TFDS_DATA_DIR', f'{tmp_path}/gone')
  assert f'data_dir {tmp_path}/gone is not' in said('mnist', 'train')
  assert 'neither a directory nor a TFDS name' in said(f'{tmp_path}/no', 'train')
  monkeypatch.chdir(tmp_path)
  assert 'neither a directory nor a TFDS name' in said('../../etc/no', 'train', str(tmp_path))
  assert 'neither a directory nor a TFDS name' in said('', 'train', str(tmp_path))
  os.mkdir(tmp_path / 'bare')
  assert 'is not a TFDS dataset: no dataset_info.json' in said(f'{tmp_path}/bare', 'train')


def test_a_default_data_dir_that_is_not_there_is_one_that_is_empty(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.setattr(official, 'obtainable', lambda *_: False)
  assert f'not prepared in {tmp_path}/tensorflow_datasets, which has no' in said('mnist', 'train')


@pytest.mark.parametrize('file', ['dataset_info.json', 'features.json'])
@pytest.mark.parametrize('text', ['', '{', '[]', '{"a": {"b": 1}}', '[' * 9999, '\0\udcff'])
def test_metadata_that_cannot_be_read(tiny, file, text):
  (tiny / file).write_text(text, errors='surrogateescape')
  assert str(tiny) in said(str(tiny), 'train')


def test_files_that_are_missing_or_broken(tiny):
  (shard,) = tiny.glob('*-train.array_record*')
  whole = shard.read_bytes()
  shard.write_bytes(whole[: len(whole) // 2])
  assert f'cannot read {tiny}, train' in said(str(tiny), 'train')
  shard.write_bytes(b'')
  assert f'cannot read {tiny}, train' in said(str(tiny), 'train')
  shard.unlink()
  assert f'{shard.name} is missing' in said(str(tiny), 'train')
  (tiny / 'features.json').unlink()
  assert f'cannot read {tiny}' in said(str(tiny), 'test')


PPM = b'P6 4 4 255\n' + bytes(48)  # an image, of a format that TFDS does not store


@pytest.mark.parametrize('bad', [PPM, b'%!PS-Adobe-3.0 EPSF-3.0\n', b'\x89PNG\r\n\x1a\n', b''])
def test_an_image_that_cannot_be_read(tmp_path, prepare, bad):
  folder = prepare(tmp_path, {'test': [{'image': bad}]}, {'image': image(4, 4, 3)})
  assert f'cannot read {folder}, test' in said(folder, 'test')


def test_an_image_of_another_shape_than_the_set_declares(tmp_path, prepare, pictures):
  rows = {'test': [{'image': pictures(1, (4, 6, 3))[0]}]}
  folder = prepare(tmp_path, rows, {'image': image(4, 4, 3)})
  assert 'an image of [4, 6, 3] in a set of [4, 4, 3]' in said(folder, 'test')


@pytest.mark.parametrize('legacy', [False, True])
def test_a_set_cannot_have_its_own_code_run(tiny, tmp_path, monkeypatch, legacy):
  (tmp_path / 'evil.py').write_text(f'open({str(tmp_path / "ran")!r}, "w")')
  monkeypatch.syspath_prepend(str(tmp_path))
  foreign = {'type': 'evil.Feature', 'content': {}} if legacy else {'pythonClassName': 'evil.F'}
  edit(tiny / 'features.json', lambda c: c['featuresDict']['features'].update(image=foreign))
  assert 'names the class evil.F' in said(str(tiny), 'train')
  edit(tiny / 'features.json', lambda c: (c.clear(), c.update(foreign)))
  assert 'names the class evil.F' in said(str(tiny), 'train')
  assert not (tmp_path / 'ran').exists()


def test_importing_the_reader_is_cheap():
  code = (
    'import sys; from vaejax.data import tfds; '
    'print([m for m in ("tensorflow_datasets", "PIL", "tensorflow") if m in sys.modules])'
  )
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert done.stdout.strip() == '[]'


def test_the_genuine_mnist():
  if not os.path.isdir(os.path.join(GENUINE, 'mnist')):
    pytest.skip('no prepared MNIST in ../shared/tensorflow_datasets')
  train, test = (tfds.table('mnist', s, GENUINE) for s in ('train', 'test'))
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
