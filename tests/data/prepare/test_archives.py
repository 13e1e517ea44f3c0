"""Each official archive is read as the builder of TFDS reads it: the same keys and the same rows.

Those builders run here, with the file functions of TensorFlow replaced by Python's.
"""

import io
import os
import pathlib
import tarfile
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from archives import MADE, put_archives

from vaejax.data import sets
from vaejax.data.prepare import official
from vaejax.data.prepare.locate import locate
from vaejax.data.readers import tfds
from vaejax.data.settings import Settings


@pytest.fixture(params=MADE)
def put(request, tmp_path, monkeypatch):
  """The name of a dataset whose archives are there."""
  put_archives(request.param, tmp_path, monkeypatch)
  return request.param


def unpack(path, folder):
  opened = tarfile.open if path.name.endswith('.gz') else zipfile.ZipFile
  with opened(path) as archive:
    archive.extractall(folder)
  return folder


def of_tfds(name, root, monkeypatch):
  """{split: {key: row}} as the official builder generates them."""
  import importlib

  base = official.official_class(name)
  gfile = SimpleNamespace(GFile=open, listdir=os.listdir)
  module = importlib.import_module(base.__module__)
  monkeypatch.setattr(module, 'tf', SimpleNamespace(io=SimpleNamespace(gfile=gfile)))
  builder = base(data_dir=str(root / 'none'))
  source, folder = root / 'downloads' / 'manual' / name, root / 'unpacked'
  if name == 'cifar100':
    at = unpack(source / 'cifar-100-binary.tar.gz', folder) / 'cifar-100-binary'
    arguments = {s: (f'{s}_', [str(at / f'{s}.bin')]) for s in ('train', 'test')}
  elif name == 'omniglot':
    files = sets.find(name).FILES
    arguments = {s: (str(unpack(source / f, folder / s)),) for s, f in files.items()}
  elif name == 'svhn_cropped':
    arguments = {s: (f'{s}_', str(source / f'{s}_32x32.mat')) for s in sets.find(name).SPLITS}
  else:
    arguments = {s: (str(source / f),) for s, f in sets.find(name).FILES.items()}
  return {s: dict(builder._generate_examples(*given)) for s, given in arguments.items()}


def plain(value):
  """An image of either side as an array, anything else as a Python value."""
  from PIL import Image

  if isinstance(value, bytes | str) and (isinstance(value, bytes) or value.endswith('.png')):
    data = value if isinstance(value, bytes) else pathlib.Path(value).read_bytes()
    return np.asarray(Image.open(io.BytesIO(data))).tolist()
  if isinstance(value, np.ndarray):
    return np.squeeze(value).tolist()
  return int(value) if isinstance(value, np.integer) else value


def test_keys_and_rows_are_those_of_the_official_builder(put, tmp_path, monkeypatch):
  want = of_tfds(put, tmp_path, monkeypatch)
  module, folder = sets.find(put), tmp_path / 'downloads' / 'manual' / put
  paths = {file: str(folder / file) for file in module.ARCHIVES}
  assert list(want) == list(getattr(module, 'SPLITS', ('train', 'test')))
  for split, rows in want.items():
    _, count, found = module.read(split, paths)
    found = dict(found)
    assert len(found) == count == len(rows)
    for key in rows:
      assert rows[key].keys() == found[key].keys()
      for field in rows[key]:
        assert plain(rows[key][field]) == plain(found[key][field]), (key, field)


def test_what_is_written_is_the_official_set(put, tmp_path):
  import tensorflow_datasets

  info = tensorflow_datasets.builder_from_directory(locate(put, str(tmp_path))).info
  official_info = tensorflow_datasets.builder(put, data_dir=str(tmp_path / 'none')).info
  assert info.full_name == official_info.full_name
  assert repr(info.features) == repr(official_info.features)
  assert info.description == official_info.description
  module = sets.find(put)
  assert list(info.splits) == list(getattr(module, 'SPLITS', ('train', 'test')))
  if put == 'cifar100':
    assert info.features['coarse_label'].names[3] == 'group_3'
  # Plain TFDS reads it, and gives what this package reads.
  source = tensorflow_datasets.data_source(put, split='test', data_dir=str(tmp_path))
  table = tfds.table(put, 'test', data_dir=str(tmp_path))
  assert len(source) == table.size
  if put != 'omniglot':  # whose files have one channel, of which TFDS without TensorFlow makes none
    white = 255 // getattr(module, 'WHITE', 255)
    for i, row in enumerate(source):
      got = table.fetch(np.array([i]))
      assert np.array_equal(row['image'] * np.uint8(white), got['image'][0])
      assert 'label' not in got or row['label'] == got['label'][0]


def test_the_groups_of_cifar100_are_labels_too(tmp_path, monkeypatch):
  put_archives('cifar100', tmp_path, monkeypatch)
  fine, coarse = (
    tfds.table('cifar100', 'train', Settings(label=label), str(tmp_path))
    for label in ('', 'coarse_label')
  )
  assert (fine.classes, coarse.classes) == (100, 20)
  assert fine.class_names[7] == 'class_7' and coarse.class_names[7] == 'group_7'


def test_a_damaged_text_of_binarized_mnist(tmp_path):
  module = sets.find('binarized_mnist')
  path = tmp_path / module.FILES['test']
  for text in (b'0 1 2 ' * 784, b'0 1 ' * 100, b''):
    path.write_bytes(text)
    with pytest.raises(ValueError, match='is not lines of 784 numbers 0 or 1'):
      module.read('test', {path.name: path})
