"""Prepare mnist, fashion_mnist, kmnist and cifar10 for TFDS without TensorFlow.

The official builders need TensorFlow to read their archives. A subclass that only reads them
differently writes the same dataset: the same name, version, checksums, labels and row order.
"""

import contextlib
import gzip
import io
import math
import os
import struct
import sys
import tarfile
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator

import numpy as np

from vaejax.errors import UserError

_IDX = {
  'train': ('train-images-idx3-ubyte.gz', 'train-labels-idx1-ubyte.gz'),
  'test': ('t10k-images-idx3-ubyte.gz', 't10k-labels-idx1-ubyte.gz'),
}
_IDX_FILES = (*_IDX['train'], *_IDX['test'])
FILES = {
  'mnist': _IDX_FILES,
  'fashion_mnist': _IDX_FILES,
  'kmnist': _IDX_FILES,
  'cifar10': ('cifar-10-binary.tar.gz',),
}
_CIFAR = 'cifar-10-batches-bin/'
_CIFAR_BATCHES = {
  'train': [f'data_batch_{i}.bin' for i in range(1, 6)],
  'test': ['test_batch.bin'],
}
_PATIENCE = 3.0  # seconds for a download host to answer


def archives(name: str, data_dir: str) -> str:
  """Where the archives of a set are put by hand: a folder a set, as three share file names."""
  return os.path.join(data_dir, 'downloads', 'manual', name)


def obtainable(name: str, data_dir: str) -> bool:
  """Whether a set of FILES can be prepared: its archives lie in `archives`, or its host answers.

  Takes 3 seconds at most, where TFDS would try for minutes.
  """
  return _by_hand(name, data_dir) or _answers(_urls(name)[0])


def prepare(name: str, data_dir: str) -> None:
  """Prepares a set of FILES in data_dir as array_record, from its archives or its host.

  TFDS writes to a folder of another name and renames it when whole.

  Raises:
    UserError: an archive is not the official file, or data_dir cannot be written.
  """
  import tensorflow_datasets

  folder = archives(name, data_dir)
  origin = folder if _by_hand(name, data_dir) else urllib.parse.urlsplit(_urls(name)[0]).netloc
  print(f'vaejax: preparing {name} in {data_dir} from {origin}', file=sys.stderr)
  tensorflow_datasets.disable_progress_bar()
  settings = tensorflow_datasets.download.DownloadConfig(manual_dir=folder, try_download_gcs=False)
  builder = None
  try:
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints two long lines
      builder = _builder(name, data_dir)
      builder.download_and_prepare(download_config=settings, file_format='array_record')
  except Exception as error:
    if builder and builder.is_prepared():
      return  # another process was first
    what = str(error).splitlines() or [type(error).__name__]
    raise UserError(f'cannot prepare {name} in {data_dir} from {origin}: {what[0]}') from error


def _by_hand(name: str, data_dir: str) -> bool:
  return all(os.path.isfile(os.path.join(archives(name, data_dir), f)) for f in FILES[name])


def _answers(url: str) -> bool:
  """Whether a host gives a file to whoever asks, known within _PATIENCE seconds."""
  found = []

  def ask():
    with contextlib.suppress(Exception):
      request = urllib.request.Request(url, method='HEAD')
      with urllib.request.urlopen(request, timeout=_PATIENCE) as reply:
        found.append(reply.status == 200)

  # In a thread, since a name that does not resolve takes longer than any timeout that can be set.
  thread = threading.Thread(target=ask, daemon=True)
  thread.start()
  thread.join(_PATIENCE)
  return found == [True]


def _official(name: str) -> type:
  """TFDS's own builder class of a set."""
  from tensorflow_datasets.image_classification import cifar, mnist

  return {
    'mnist': mnist.MNIST,
    'fashion_mnist': mnist.FashionMNIST,
    'kmnist': mnist.KMNIST,
    'cifar10': cifar.Cifar10,
  }[name]


def _urls(name: str) -> list[str]:
  """Where the archives are downloaded from, in the order of FILES[name]."""
  known = {os.path.basename(url): url for url in _official(name).url_infos}
  return [known[file] for file in FILES[name]]


def _builder(name: str, data_dir: str):
  """A TFDS builder of a set of FILES whose reading of the archives needs no TensorFlow."""
  base = _official(name)
  read = _read_cifar if name == 'cifar10' else _read_idx

  class Official(base, skip_registration=True):
    # Without the official path the checksums are not found, and then files put by hand are ignored.
    code_path = base.code_path

    def _split_generators(self, dl_manager):
      paths = dl_manager.download(_urls(name))
      return {split: self._generate_examples(split, paths) for split in ('train', 'test')}

    def _generate_examples(self, split, paths):
      from PIL import Image

      names, rows = read(split, paths)
      if names:
        self.info.features['label'].names = names
      # The official keys: TFDS orders rows by their hash, and CIFAR's also name a row.
      for i, (image, label) in enumerate(rows):
        row = {'image': Image.fromarray(image), 'label': int(label)}
        yield i, row | ({'id': f'{split}_{i:05d}'} if 'id' in self.info.features else {})

  Official.name = name
  return Official(data_dir=data_dir)


def _read_idx(split: str, paths) -> tuple[list[str], Iterator]:
  """The four IDX archives -> (no label names, rows of (uint8 [28, 28], label))."""
  names = dict(zip(_IDX_FILES, paths, strict=True))
  images, labels = (
    _idx(names[file], file, rank) for file, rank in zip(_IDX[split], (3, 1), strict=True)
  )
  if len(images) != len(labels):
    raise ValueError(f'{len(images)} {split} images but {len(labels)} labels')
  return [], zip(images, labels, strict=True)


def _idx(path, file: str, rank: int) -> np.ndarray:
  """A gzipped IDX file of bytes -> uint8 array of this rank. ValueError where it is not one."""
  with gzip.open(path) as stream:
    data = stream.read()
  magic, *shape = struct.unpack_from(f'>{1 + rank}I', data)
  if magic != 0x800 + rank or len(data) != 4 * (1 + rank) + math.prod(shape):
    raise ValueError(f'{file} is not an IDX file of {rank} dimensions')
  return np.frombuffer(data, np.uint8, offset=4 * (1 + rank)).reshape(shape)


def _read_cifar(split: str, paths) -> tuple[list[str], Iterator]:
  """The CIFAR-10 archive -> (label names, rows of (uint8 [32, 32, 3], label))."""
  # Members are read by name and nothing is extracted, so no path in the archive is ever written to.
  with tarfile.open(paths[0], 'r:gz') as archive:
    read = lambda file: archive.extractfile(_CIFAR + file).read()
    names = read('batches.meta.txt').decode().split()
    rows = np.frombuffer(b''.join(read(f) for f in _CIFAR_BATCHES[split]), np.uint8)
  rows = rows.reshape(-1, 1 + 3 * 32 * 32)
  images = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
  return names, zip(np.ascontiguousarray(images), rows[:, 0], strict=True)
