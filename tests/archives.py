"""Small archives in the form of the official ones, which TFDS is made to take for them."""

import hashlib
import io
import tarfile
import zipfile

import numpy as np

from vaejax.data import sets
from vaejax.data.prepare import official

COUNTS = {'train': 23, 'validation': 7, 'test': 11, 'extra': 5}


def draws(split):
  return np.random.default_rng(len(split))


def cifar100():
  folder = sets.find('cifar100').FOLDER
  members = {
    'coarse_label_names.txt': ''.join(f'group_{i}\n' for i in range(20)).encode(),
    'fine_label_names.txt': ''.join(f'class_{i}\n' for i in range(100)).encode(),
  }
  for split in ('train', 'test'):
    labels = draws(split).integers(0, (20, 100), (COUNTS[split], 2))
    pixels = draws(split).integers(0, 256, (COUNTS[split], 3072))
    members[f'{split}.bin'] = np.concatenate([labels, pixels], 1).astype(np.uint8).tobytes()
  stream = io.BytesIO()
  with tarfile.open(fileobj=stream, mode='w:gz') as tar:
    for file, data in members.items():
      info = tarfile.TarInfo(folder + file)
      info.size = len(data)
      tar.addfile(info, io.BytesIO(data))
  return {'cifar-100-binary.tar.gz': stream.getvalue()}


def binarized_mnist():
  module = sets.find('binarized_mnist')
  lines = lambda n, split: draws(split).integers(0, 2, (n, 784))
  text = lambda x: ''.join(' '.join(map(str, row)) + '\n' for row in x).encode()
  return {module.FILES[s]: text(lines(COUNTS[s], s)) for s in module.SPLITS}


def svhn_cropped():
  from scipy.io import savemat

  result = {}
  for split in sets.find('svhn_cropped').SPLITS:
    n, file = COUNTS[split], io.BytesIO()
    images = draws(split).integers(0, 256, (32, 32, 3, n)).astype(np.uint8)
    savemat(file, {'X': images, 'y': draws(split).integers(1, 11, (n, 1)).astype(np.uint8)})
    result[f'{split}_32x32.mat'] = file.getvalue()
  return result


def omniglot():
  """All 1623 characters of 50 alphabets, because TFDS wants the names of all, once each."""
  from PIL import Image

  def archive(folder, characters):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, 'w') as file:
      for n in characters:
        alphabet = f'Alphabet_({n % 50})'
        png = io.BytesIO()
        pixels = np.unpackbits(np.random.default_rng(n).integers(0, 256, 1379).astype(np.uint8))
        Image.fromarray(pixels[: 105 * 105].reshape(105, 105) * 255).convert('1').save(png, 'PNG')
        name = f'{folder}/{alphabet}/character{n // 50 + 1:02d}/{n + 1:04d}_01.png'
        file.writestr(name, png.getvalue())
    return stream.getvalue()

  parts = {
    'images_background': range(964),
    'images_evaluation': range(964, 1623),
    'images_background_small1': range(0, 964, 30),
    'images_background_small2': range(7, 964, 40),
  }
  return {f'{name}.zip': archive(name, numbers) for name, numbers in parts.items()}


MADE = {'cifar100': cifar100, 'binarized_mnist': binarized_mnist, 'svhn_cropped': svhn_cropped}
MADE['omniglot'] = omniglot


def put_archives(name, root, monkeypatch):
  """Puts small archives into data_dir, which TFDS takes for the official ones."""
  from tensorflow_datasets.core.download.checksums import UrlInfo

  files = MADE[name]()
  folder = root / 'downloads' / 'manual' / name
  folder.mkdir(parents=True)
  for file, data in files.items():
    (folder / file).write_bytes(data)
  infos = {
    f'http://127.0.0.1:9/{f}': UrlInfo(len(b), hashlib.sha256(b).hexdigest(), f)
    for f, b in files.items()
  }
  monkeypatch.setattr(official.official_class(name), 'url_infos', infos)
