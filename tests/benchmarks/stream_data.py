"""The synthetic JPEGs of stream.py: files in class folders, and a TFDS dataset of the same."""

import concurrent.futures
import io
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

SIDE, CLASSES, QUALITY = 256, 100, 90


def picture(number: int) -> bytes:
  """A JPEG of coloured noise at four scales, of about 28 kB: as large as a photograph's."""
  random, pixels = np.random.default_rng(number), 128.0
  for side, weight in ((4, 1.0), (16, 0.5), (64, 0.3), (256, 0.12)):
    noise = Image.fromarray(random.integers(0, 256, (side, side, 3), np.uint8))
    noise = noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    pixels = pixels + weight * (np.asarray(noise, np.float32) - 128)
  file = io.BytesIO()
  Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(file, 'JPEG', quality=QUALITY)
  return file.getvalue()


def place(folder: Path, number: int) -> Path:
  """The file of a picture, in the folder of its class."""
  return folder / f'{number % CLASSES:03d}' / f'{number:06d}.jpg'


def write(folder: Path, number: int) -> None:
  place(folder, number).write_bytes(picture(number))


def make_files(folder: Path, count: int) -> None:
  """Writes the files that are not there yet, with two processes."""
  for label in range(CLASSES):
    (folder / f'{label:03d}').mkdir(parents=True, exist_ok=True)
  missing = [i for i in range(count) if not place(folder, i).exists()]
  with concurrent.futures.ProcessPoolExecutor(2) as pool:
    list(pool.map(partial(write, folder), missing, chunksize=100))


def make_dataset(folder: Path, files: Path, count: int) -> Path:
  """The folder of a TFDS dataset of those files, as array_record. It is written if missing."""
  import tensorflow_datasets as tfds
  from tensorflow_datasets.core import shuffle

  shuffle.MAX_MEM_BUFFER_SIZE = 2**34  # more than this it shuffles with TensorFlow

  class SyntheticJpeg(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    VERSION = tfds.core.Version('1.0.0')
    name = 'synthetic_jpeg'

    def _info(self):
      features = tfds.features.FeaturesDict(
        {
          'image': tfds.features.Image(shape=(SIDE, SIDE, 3), encoding_format='jpeg'),
          'label': tfds.features.ClassLabel(num_classes=CLASSES),
        }
      )
      return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, _):
      return {'train': self._generate_examples(0, count), 'test': self._generate_examples(0, 200)}

    def _generate_examples(self, first, last):
      for i in range(first, last):
        yield i, {'image': str(place(files, i)), 'label': i % CLASSES}

  tfds.disable_progress_bar()
  builder = SyntheticJpeg(data_dir=str(folder))
  builder.download_and_prepare(file_format='array_record')
  return Path(builder.data_dir)
