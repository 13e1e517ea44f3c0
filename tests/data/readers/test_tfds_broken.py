"""TFDS sets that cannot be read: each is a UserError of one line, and none runs code."""

import io
import json
import re

import numpy as np
import pytest

from vaejax.data.readers import tfds
from vaejax.errors import UserError


def image(*shape, **settings):
  import tensorflow_datasets

  return tensorflow_datasets.features.Image(shape=shape, **settings)


def message(name, split):
  """The one line of the UserError that reading a set raises."""
  with pytest.raises(UserError) as error:
    tfds.table(name, split).load()
  assert '\n' not in str(error.value)
  return str(error.value)


@pytest.mark.parametrize('split', ['unlabelled', 'validation', 'train[:5]', '', 'all'])
def test_other_splits_are_refused_with_those_that_exist(tiny, split):
  with pytest.raises(UserError, match=rf'no split {split!r}'.replace('[', r'\[')) as error:
    tfds.table(str(tiny), split)
  assert 'Choose one of ' in str(error.value) and 'train' in str(error.value)


@pytest.mark.parametrize(
  'names, message',
  [
    ('ab', r'it has several images. Choose one by data.field=a \(a, b\)'),
    ('', r'an image is needed, but it has x Tensor int64 \[\]'),
  ],
)
def test_one_image_is_needed(tmp_path, prepare, pictures, names, message):
  row = {'x': 1} | {n: pictures(1, (4, 4, 3))[0] for n in names}
  features = {'x': np.int64} | {n: image(4, 4, 3) for n in names}
  folder = prepare(tmp_path, {'test': [row]}, features)
  with pytest.raises(UserError, match=message):
    tfds.table(folder, 'test')


def test_the_bits_are_as_declared(tmp_path, prepare):
  from PIL import Image

  deep = io.BytesIO()
  Image.fromarray(np.zeros((4, 4), np.uint16)).save(deep, 'PNG')
  good = io.BytesIO()
  Image.fromarray(np.zeros((4, 4), np.uint8)).save(good, 'PNG')
  rows = {'test': [{'image': good.getvalue()}, {'image': deep.getvalue()}]}
  lying = prepare(tmp_path / 'a', rows, {'image': image(4, 4, 1)})
  assert re.fullmatch(
    f'row [01] of tiny/1.0.0 test in {lying}: its pixels have 16 bits, but the dataset declares 8. '
    'Convert it, or declare uint16',
    message(lying, 'test'),
  )
  other = prepare(
    tmp_path / 'b',
    {'train': rows['test'][1:], **rows},
    {'image': image(4, 4, 1, dtype=np.uint16, encoding_format='png')},
  )
  assert 'its pixels have 8 bits, not 16' in message(other, 'test')


def edit(path, change):
  content = json.loads(path.read_text())
  change(content)
  path.write_text(json.dumps(content))


def test_tfrecord_is_to_be_prepared_again(tiny):
  edit(tiny / 'dataset_info.json', lambda c: c.update(fileFormat='tfrecord'))
  for shard in tiny.glob('*.array_record*'):
    shard.rename(str(shard).replace('array_record', 'tfrecord'))
  assert 'stored as tfrecord' in message(str(tiny), 'train')
  assert '--file_format=array_record' in message(str(tiny), 'train')


@pytest.mark.parametrize('file', ['dataset_info.json', 'features.json'])
@pytest.mark.parametrize('text', ['', '{', '[]', '{"a": {"b": 1}}', '[' * 9999, '\0\udcff'])
def test_metadata_that_cannot_be_read(tiny, file, text):
  (tiny / file).write_text(text, errors='surrogateescape')
  assert str(tiny) in message(str(tiny), 'train')


def test_files_that_are_missing_or_broken(tiny):
  (shard,) = tiny.glob('*-train.array_record*')
  whole = shard.read_bytes()
  shard.write_bytes(whole[: len(whole) // 2])
  assert f'cannot read {tiny}, {shard.name}: damaged? ' in message(str(tiny), 'train')
  shard.write_bytes(b'')
  assert f'cannot read {tiny}, {shard.name}: damaged? ' in message(str(tiny), 'train')
  shard.unlink()
  assert f'{shard.name} is missing' in message(str(tiny), 'train')
  (tiny / 'features.json').unlink()
  assert f'cannot read {tiny}' in message(str(tiny), 'test')


PPM = b'P6 4 4 255\n' + bytes(48)  # an image, of a format that TFDS does not store


@pytest.mark.parametrize('bad', [PPM, b'%!PS-Adobe-3.0 EPSF-3.0\n', b'\x89PNG\r\n\x1a\n', b''])
def test_an_image_that_cannot_be_read(tmp_path, prepare, bad):
  folder = prepare(tmp_path, {'test': [{'image': bad}]}, {'image': image(4, 4, 3)})
  assert f'cannot read {folder}, test' in message(folder, 'test')


def test_an_image_of_another_shape_than_the_set_declares(tmp_path, prepare, pictures):
  rows = {'test': [{'image': pictures(1, (4, 6, 3))[0]}]}
  folder = prepare(tmp_path, rows, {'image': image(4, 4, 3)})
  expected = f'row 0 of tiny/1.0.0 test in {folder}: it is [4, 6, 3], but the dataset is [4, 4, 3]'
  assert message(folder, 'test') == expected


@pytest.mark.parametrize('legacy', [False, True])
def test_a_set_cannot_have_its_own_code_run(tiny, tmp_path, monkeypatch, legacy):
  (tmp_path / 'evil.py').write_text(f'open({str(tmp_path / "ran")!r}, "w")')
  monkeypatch.syspath_prepend(str(tmp_path))
  foreign = {'type': 'evil.Feature', 'content': {}} if legacy else {'pythonClassName': 'evil.F'}
  edit(tiny / 'features.json', lambda c: c['featuresDict']['features'].update(image=foreign))
  assert 'names the class evil.F' in message(str(tiny), 'train')
  edit(tiny / 'features.json', lambda c: (c.clear(), c.update(foreign)))
  assert 'names the class evil.F' in message(str(tiny), 'train')
  assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('count', [19, 21])
def test_a_declared_count_that_differs_from_that_of_the_file(tiny, count):
  def change(content):
    (train,) = [s for s in content['splits'] if s['name'] == 'train']
    train['shardLengths'] = [str(count)]

  edit(tiny / 'dataset_info.json', change)
  (shard,) = tiny.glob('*-train.array_record*')
  expected = f'{shard} has 20 records, but dataset_info.json of its folder declares {count}. '
  assert message(str(tiny), 'train') == expected + 'Prepare the dataset again'
