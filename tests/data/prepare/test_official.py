"""The official sets prepared without TensorFlow, from small archives of the true form."""

import functools
import gzip
import hashlib
import http.server
import io
import os
import socket
import struct
import tarfile
import threading
import time

import numpy as np
import pytest
from running import HANGS

from vaejax.data import sets
from vaejax.data.prepare import download, official
from vaejax.data.prepare.locate import locate
from vaejax.data.readers import tfds
from vaejax.errors import UserError

IDX = ['mnist', 'fashion_mnist', 'kmnist']
COUNTS = {'train': 40, 'test': 11}
CLASSES = [f'class{i}' for i in range(10)]


def truth(name, split):
  """The rows of a split, in the archive's order: images uint8 [n, h, w, c], labels [n]."""
  rng = np.random.default_rng([len(name), len(split)])
  shape = (32, 32, 3) if name == 'cifar10' else (28, 28, 1)
  n = COUNTS[split]
  return rng.integers(0, 256, (n, *shape), np.uint8), rng.integers(0, 10, n).astype(np.uint8)


def idx(array):
  head = struct.pack(f'>{1 + array.ndim}I', 0x800 + array.ndim, *array.shape)
  return gzip.compress(head + array.tobytes())


def archives(name):
  """{file name: bytes} as the official host gives them."""
  if name != 'cifar10':
    out = {}
    for split, (images, labels) in sets.find(name).FILES.items():
      x, y = truth(name, split)
      out |= {images: idx(x[..., 0]), labels: idx(y)}
    return out
  members = {'batches.meta.txt': '\n'.join([*CLASSES, '', '']).encode()}
  for split, files in sets.find(name).BATCHES.items():
    x, y = truth(name, split)
    rows = np.concatenate([y[:, None], x.transpose(0, 3, 1, 2).reshape(len(x), -1)], 1)
    for file, part in zip(files, np.array_split(rows, len(files)), strict=True):
      members[file] = part.tobytes()
  stream = io.BytesIO()
  with tarfile.open(fileobj=stream, mode='w:gz') as tar:
    for file, data in members.items():
      info = tarfile.TarInfo(f'cifar-10-batches-bin/{file}')
      info.size = len(data)
      tar.addfile(info, io.BytesIO(data))
  return {'cifar-10-binary.tar.gz': stream.getvalue()}


@pytest.fixture
def known(monkeypatch):
  """Gives a function that makes TFDS take these files, at this address, for the official ones."""
  from tensorflow_datasets.core.download.checksums import UrlInfo

  def known(name, files, address='http://127.0.0.1:9'):
    infos = {
      f'{address}/{name}/{f}': UrlInfo(len(b), hashlib.sha256(b).hexdigest(), f)
      for f, b in files.items()
    }
    monkeypatch.setattr(official.official_class(name), 'url_infos', infos)

  monkeypatch.setenv('NO_PROXY', '127.0.0.1')
  return known


def put(root, name, files):
  folder = root / 'downloads' / 'manual' / name
  folder.mkdir(parents=True)
  for file, data in files.items():
    (folder / file).write_bytes(data)


def assert_holds(table, name, split):
  """The table holds exactly the truth, in whatever order TFDS gave it."""
  images, labels = truth(name, split)
  got = table.load()
  assert got['image'].shape == images.shape
  order = [int(np.flatnonzero((images == x).all((1, 2, 3))).item()) for x in got['image']]
  assert sorted(order) == list(range(len(images)))
  assert np.array_equal(got['label'], labels[order])


@pytest.mark.parametrize('name', [*IDX, 'cifar10'])
def test_prepared_from_archives_put_by_hand(tmp_path, known, capfd, name):
  files = archives(name)
  known(name, files)
  put(tmp_path, name, files)
  train = tfds.table(name, 'train', data_dir=str(tmp_path))
  message = capfd.readouterr()
  assert message.err.count('\n') == 1 and f'preparing {name} in {tmp_path}' in message.err
  assert message.out == ''
  assert_holds(train, name, 'train')
  assert_holds(tfds.table(name, 'test', data_dir=str(tmp_path)), name, 'test')
  assert train.classes == 10 and 'preparing' not in capfd.readouterr().err
  assert os.listdir(tmp_path / name) == [os.path.basename(locate(name, str(tmp_path)))]


@pytest.mark.parametrize('name', ['mnist', 'cifar10'])
def test_what_is_written_is_the_official_set(tmp_path, known, name):
  import tensorflow_datasets

  files = archives(name)
  known(name, files)
  put(tmp_path, name, files)
  info = tensorflow_datasets.builder_from_directory(locate(name, str(tmp_path))).info
  official_info = tensorflow_datasets.builder(name, data_dir=str(tmp_path / 'none')).info
  assert info.full_name == official_info.full_name
  assert repr(info.features) == repr(official_info.features)
  if name == 'cifar10':
    assert info.features['label'].names == CLASSES
    source = tensorflow_datasets.data_source(name, split='test', data_dir=str(tmp_path))
    ids = {row['id'].decode(): row['image'] for row in source}
    images, _ = truth(name, 'test')
    assert all(np.array_equal(ids[f'test_{i:05d}'], x) for i, x in enumerate(images))


def test_three_sets_whose_files_share_names_do_not_mix(tmp_path, known):
  for name in IDX:
    known(name, archives(name))
    put(tmp_path, name, archives(name))
  for name in IDX:
    assert_holds(tfds.table(name, 'test', data_dir=str(tmp_path)), name, 'test')


def test_missing_says_which_files_to_put_where(tmp_path, known, prepare, pictures, monkeypatch):
  import tensorflow_datasets as t

  features = {'image': t.features.Image(shape=(4, 4, 3))}
  prepare(tmp_path, {'train': [{'image': p} for p in pictures(2, (4, 4, 3))]}, features)
  known('kmnist', archives('kmnist'))
  monkeypatch.setattr(official, 'prepare', None)  # TFDS would try for minutes
  with pytest.raises(UserError) as error:
    tfds.table('kmnist', 'train', data_dir=str(tmp_path))
  message = str(error.value)
  assert f'kmnist is not prepared in {tmp_path}, which has tiny:1.0.0;' in message
  assert all(f in message for f in official.files('kmnist')) and '\n' not in message
  assert f'{tmp_path}/downloads/manual/kmnist' in message
  assert not (tmp_path / 'kmnist').exists()


def test_one_archive_missing_is_all_missing(tmp_path, known):
  files = archives('mnist')
  known('mnist', files)
  put(tmp_path, 'mnist', dict(list(files.items())[:3]))
  with pytest.raises(
    UserError, match=r'its download host does not answer\. Put t10k-labels-idx1-ubyte.gz from'
  ):
    tfds.table('mnist', 'train', data_dir=str(tmp_path))


def test_another_version_is_not_prepared_over(tmp_path, known, monkeypatch):
  known('mnist', archives('mnist'))
  put(tmp_path, 'mnist', archives('mnist'))
  tfds.table('mnist:3.0.1', 'train', data_dir=str(tmp_path))
  monkeypatch.setattr(official, 'prepare', None)
  with pytest.raises(UserError, match=r'mnist:1\.0\.0 is not prepared .* has mnist:3\.0\.1'):
    tfds.table('mnist:1.0.0', 'train', data_dir=str(tmp_path))


IMAGES = 'train-images-idx3-ubyte.gz'
SHORT = gzip.compress(struct.pack('>4I', 0x803, 40, 28, 28) + bytes(99))
WRONG = {
  'gzip': (IMAGES, b'<html>', 'Not a gzipped file'),
  'magic': (IMAGES, gzip.compress(bytes(16)), f'{IMAGES} is not an IDX file of 3 dimensions'),
  'length': (IMAGES, SHORT, f'{IMAGES} is not an IDX file of 3 dimensions'),
  'header': (IMAGES, gzip.compress(b'ab'), 'requires a buffer of at least'),
  'count': ('train-labels-idx1-ubyte.gz', idx(np.zeros(39, np.uint8)), '40 train images but 39'),
}


@pytest.mark.parametrize('case', WRONG)
def test_a_broken_archive_leaves_nothing(tmp_path, known, case):
  file, data, message = WRONG[case]
  files = archives('mnist') | {file: data}
  known('mnist', files)
  put(tmp_path, 'mnist', files)
  with pytest.raises(UserError, match=f'cannot prepare mnist in .*{message}') as error:
    tfds.table('mnist', 'train', data_dir=str(tmp_path))
  assert '\n' not in str(error.value)
  assert list((tmp_path / 'mnist').iterdir()) == []


def test_an_archive_that_is_not_the_official_one_is_refused(tmp_path, known):
  files = archives('mnist')
  known('mnist', files)
  put(tmp_path, 'mnist', files | {IMAGES: archives('kmnist')[IMAGES]})
  with pytest.raises(UserError, match=f'{IMAGES}.* has wrong checksum'):
    tfds.table('mnist', 'train', data_dir=str(tmp_path))


def test_a_folder_left_without_metadata_is_named(tmp_path, known):
  known('mnist', archives('mnist'))
  put(tmp_path, 'mnist', archives('mnist'))
  (tmp_path / 'mnist' / '3.0.1').mkdir(parents=True)
  with pytest.raises(UserError, match=f'{tmp_path}/mnist'):
    tfds.table('mnist', 'train', data_dir=str(tmp_path))


def test_downloaded_where_the_host_answers(tmp_path, known, capfd, monkeypatch):
  monkeypatch.setattr(download, 'ANSWER_S', HANGS)
  files = archives('kmnist')
  site = tmp_path / 'site' / 'kmnist'
  site.mkdir(parents=True)
  for file, data in files.items():
    (site / file).write_bytes(data)
  handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / 'site')
  with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known('kmnist', files, f'http://127.0.0.1:{server.server_port}')
    (tmp_path / 'data').mkdir()
    table = tfds.table('kmnist', 'test', data_dir=str(tmp_path / 'data'))
    server.shutdown()
  assert 'preparing kmnist' in capfd.readouterr().err
  assert_holds(table, 'kmnist', 'test')


def test_a_host_that_is_silent_or_refuses_is_given_up_in_time(monkeypatch):
  monkeypatch.setenv('NO_PROXY', '127.0.0.1')
  monkeypatch.setattr(download, 'ANSWER_S', 0.3)
  start, never = time.monotonic(), threading.Event()
  with socket.create_server(('127.0.0.1', 0)) as silent:
    assert not download.answers(f'http://127.0.0.1:{silent.getsockname()[1]}/x')
  assert not download.answers('http://127.0.0.1:9/x')
  # A name that is long to resolve, which no timeout of a connection covers.
  monkeypatch.setattr(download.urllib.request, 'urlopen', lambda *_, **__: never.wait(60))
  assert not download.answers('http://127.0.0.1:9/x')
  assert time.monotonic() - start < 50
  never.set()
