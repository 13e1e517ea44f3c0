"""What the data tests share: a cache of their own, and small TFDS sets that they prepare."""

import pathlib

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
  """The user's cache is never touched: gives the folder that stands for it."""
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  monkeypatch.delenv('TFDS_DATA_DIR', raising=False)
  monkeypatch.setattr('tempfile.tempdir', str(tmp_path))  # TFDS leaves an empty folder there
  return tmp_path / 'cache' / 'vaejax' / 'decoded'


@pytest.fixture
def prepare(capfd):
  """Gives a function that prepares a TFDS set as array_record, without TensorFlow."""
  import tensorflow_datasets as tfds

  tfds.disable_progress_bar()

  def prepare(root, rows, features, name='tiny', version='1.0.0', config=None):
    """rows: {split: [{field: value}]}. Gives the version's folder."""

    class Tiny(tfds.core.GeneratorBasedBuilder, skip_registration=True):
      VERSION = tfds.core.Version(version)
      BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=config)] if config else []

      def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

      def _split_generators(self, dl_manager):
        return {split: enumerate(examples) for split, examples in rows.items()}

      def _generate_examples(self):
        raise NotImplementedError

    Tiny.name = name
    builder = Tiny(data_dir=str(root))
    builder.download_and_prepare(file_format='array_record')
    capfd.readouterr()  # TFDS's own lines
    return builder.data_dir

  return prepare


@pytest.fixture
def pictures():
  """Gives n random images as PIL takes them: uint8 [n, h, w] or [n, h, w, c]."""
  from PIL import Image

  def pictures(n, shape, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (n, *shape), np.uint8)
    return [Image.fromarray(p) for p in pixels]

  return pictures


@pytest.fixture
def tiny(tmp_path, prepare, pictures):
  """A set of 20 and 6 labelled colour images in data_dir tmp_path."""
  import tensorflow_datasets as tfds

  image, label = tfds.features.Image(shape=(8, 7, 3)), tfds.features.ClassLabel(num_classes=3)
  rows = {
    split: [{'image': p, 'label': i % 3} for i, p in enumerate(pictures(n, (8, 7, 3), n))]
    for split, n in (('train', 20), ('test', 6))
  }
  return pathlib.Path(prepare(tmp_path, rows, {'image': image, 'label': label}))
