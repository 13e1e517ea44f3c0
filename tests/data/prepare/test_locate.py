"""A set by its name, version and config, or by directory; and the errors if there is none."""

import os
import shutil

import pytest

from vaejax.data import sets
from vaejax.data.prepare import official
from vaejax.data.readers import tfds
from vaejax.errors import UserError


def image(*shape, **settings):
  import tensorflow_datasets

  return tensorflow_datasets.features.Image(shape=shape, **settings)


def message(name, split, data_dir=None):
  """The one line of the UserError that reading a set raises."""
  with pytest.raises(UserError) as error:
    tfds.table(name, split, data_dir=data_dir).load()
  assert '\n' not in str(error.value)
  return str(error.value)


def test_the_newest_version_unless_one_is_named(tmp_path, prepare, pictures, monkeypatch):
  for n, version in ((3, '1.2.0'), (4, '1.10.0')):
    rows = {'test': [{'image': p} for p in pictures(n, (4, 4, 3))]}
    prepare(tmp_path, rows, {'image': image(4, 4, 3)}, version=version)
  (tmp_path / 'tiny' / '9.0.0').mkdir()
  root = str(tmp_path)
  size = lambda name, data_dir=root: tfds.table(name, 'test', data_dir=data_dir).size
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

  size = lambda name: tfds.table(name, 'test', data_dir=str(tmp_path)).size
  add('32x32', 3)
  assert size('tiny') == size('tiny/32x32') == size('tiny/32x32:1.0.0') == 3
  add('a-b.c', 4)  # each preparation notes its config as the default
  assert size('tiny') == size('tiny/a-b.c/1.0.0') == 4
  shutil.rmtree(tmp_path / 'tiny' / '.config')
  with pytest.raises(UserError, match=r'several configs. Choose one of 32x32, a-b\.c'):
    size('tiny')
  with pytest.raises(UserError, match=r'tiny/no is not prepared .*tiny/32x32:1\.0\.0, tiny/a-b'):
    size('tiny/no')


def test_names_that_are_not_there(tiny, tmp_path, monkeypatch):
  root = str(tmp_path)
  monkeypatch.setattr(official, 'obtainable', lambda *_: False)
  for name in ('caltech101', 'imagenet_resized/64x64'):
    line = message(name, 'train', root)
    assert f'{name} is not prepared in {root}, which has tiny:1.0.0. Prepare it on' in line
    assert f'tfds build {name.split("/")[0]} --file_format=array_record' in line
  assert 'no dataset is called minst; the nearest names are mn' in message('minst', 'train', root)
  assert 'nearest names are mnist' in message('MNIST', 'train', root)
  assert 'nearest names are tiny' in message('tiiny', 'train', root)
  every = message('qqq', 'train', root)
  assert all(n in every for n in (*sets.known(), 'tiny'))
  os.mkdir(tmp_path / 'empty')
  assert 'which has no dataset' in message('caltech101', 'train', f'{root}/empty')


def test_places_that_are_not_there(tiny, tmp_path, monkeypatch):
  assert f'data_dir {tmp_path}/no is not a directory' in message('mnist', 'train', f'{tmp_path}/no')
  monkeypatch.setenv('TFDS_DATA_DIR', f'{tmp_path}/gone')
  assert f'data_dir {tmp_path}/gone is not' in message('mnist', 'train')
  assert 'nor a TFDS name. Check the path' in message(f'{tmp_path}/no', 'train')
  monkeypatch.chdir(tmp_path)
  assert 'nor a TFDS name. Check the path' in message('../../etc/no', 'train', str(tmp_path))
  assert 'nor a TFDS name. Check the path' in message('', 'train', str(tmp_path))
  os.mkdir(tmp_path / 'bare')
  assert 'is not a TFDS dataset: there is no dataset_info.json' in message(
    f'{tmp_path}/bare', 'train'
  )


def test_a_default_data_dir_that_is_not_there_is_one_that_is_empty(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.setattr(official, 'obtainable', lambda *_: False)
  assert f'not prepared in {tmp_path}/tensorflow_datasets, which has no' in message(
    'mnist', 'train'
  )
