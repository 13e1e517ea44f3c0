"""A set's file, found however the set is named; and what suits a set, as configs take it."""

import subprocess
import sys

import numpy as np
import pytest

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.fields import check
from vaejax.config.load import load_config
from vaejax.data import sets, splits
from vaejax.data.readers import tfds
from vaejax.errors import UserError

OWN = '''"""Two grey levels in 6x6 pixels."""
import numpy as np

SUITS = {'data.binarise': 'threshold', 'model.likelihood': 'bernoulli', 'model.latents': 3}
DRAWN = True
SPLITS = ('train', 'validation', 'test')


def table(split, size=None, channels=None, fit='resize', frames=None):
  from vaejax.data.table import of_arrays

  count = {'train': 30, 'validation': 8, 'test': 5}[split]
  image = np.full((count, 6, 6, 1), 255, np.uint8)
  return of_arrays({'image': image}, None, f'cells {split}')
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
  (tmp_path / 'mylab').mkdir()
  (tmp_path / 'mylab' / 'cells.py').write_text(OWN)
  (tmp_path / 'mylab' / 'other.py').write_text('SUITS = {}\n')
  monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
  'name, title',
  [
    ('mnist', 'mnist'),
    ('mnist:3.0.1', 'mnist'),
    ('mnist/3.0.1', 'mnist'),
    ('imagenet_resized/32x32', 'imagenet_resized'),
    ('/data/mnist/3.0.1', 'mnist'),
    ('./data/my.set', 'my.set'),
    ('mylab.cells', 'mylab.cells'),
    ('/', '/'),
    ('', ''),
  ],
)
def test_a_set_has_one_title_however_it_is_named(name, title):
  assert sets.title(name) == title
  found = sets.find(name) if title != 'mylab.cells' else None
  assert (found is not None) == (title == 'mnist')


def test_only_the_plain_name_is_made_here():
  assert sets.reader('digits') is sets.find('digits') is sets.find('/x/digits/1.0.0')
  for name in ('digits:1.0.0', '/x/digits', 'mnist', 'unheard_of', '__init__'):
    assert sets.reader(name) is None
  assert {'digits', 'moving', 'mnist', 'cifar10'} < set(sets.known())


def test_a_set_of_ones_own(own, project):
  config = load_config('configs/vae.py:mylab.cells,smoke')
  assert (config.model.latents, config.data.binarise) == (4, 'threshold')  # smoke has few latents
  assert load_config('configs/vae.py:mylab.cells').model.latents == 3
  found = splits.tables(config.data, None)
  assert [rows.size for rows in found] == [30, 8, 5]
  assert splits.table(config.data, 'validation', None).origin == 'cells validation'
  assert load_config('configs/gan.py:mylab.cells').model.channels == (32, 64)
  for name, message in (
    ('mylab.other', "mylab.other cannot be used as a set: it does not define 'table'"),
    ('mylab.none', "unknown set 'mylab.none'.*choose one of digits"),
  ):
    with pytest.raises(UserError, match=message):
      load_config(f'configs/vae.py:{name}')


@pytest.mark.parametrize('name', ['missing.npz', 'Galaxies.H5', 'clip.mp4', 'cat.jpg', 'pics.zip'])
def test_a_file_that_is_not_there_is_no_module(name, own, monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  assert sets.find(name) is sets.reader(name) is None
  config = load_config(f'configs/vae.py:{name}')
  with pytest.raises(UserError, match=f"'{name}' is neither a file or a folder in .* nor"):
    splits.table(config.data, 'train', None)
  (tmp_path / 'mylab' / 'npz.py').write_text(OWN)
  assert sets.find('mylab.npz').DRAWN


def test_rows_that_are_asked_for_are_held_out_though_the_set_has_its_own(own):
  data = base('', {}).data
  data.update({'name': 'mylab.cells', 'validation': 6})
  found = splits.tables(data, None)
  assert [rows.size for rows in found] == [24, 6, 5]
  assert found.validation.origin == 'cells train, 6 rows'


def test_a_config_without_a_set_is_told_so():
  with pytest.raises(UserError, match=r"data\.name is ''. Give the name of a dataset"):
    splits.table(base('', {}).data, 'train', None)


def image_set(tmp_path, prepare, pictures, **counts):
  import tensorflow_datasets

  rows = {s: [{'image': p} for p in pictures(n, (4, 4, 3), n)] for s, n in counts.items()}
  prepare(tmp_path, rows, {'image': tensorflow_datasets.features.Image(shape=(4, 4, 3))})
  data = base('', {}).data
  data.name = 'tiny'
  return data


@pytest.mark.parametrize(
  'counts, sizes, names',
  [
    ({'train': 20, 'test': 4}, [20, None, 4], {'train', 'test'}),
    ({'train': 20, 'validation': 6, 'test': 4}, [20, 6, 4], {'train', 'validation', 'test'}),
    # It stands for the test split, by which nothing is chosen.
    ({'train': 20, 'validation': 6}, [20, None, 6], {'train', 'test'}),
    ({'train': 20, 'extra': 3}, [18, None, 2], {'train', 'extra', 'test'}),
  ],
)
def test_the_splits_of_a_set_of_tfds(tmp_path, prepare, pictures, counts, sizes, names):
  data = image_set(tmp_path, prepare, pictures, **counts)
  root = str(tmp_path)
  assert set(tfds.splits('tiny', data_dir=root)) == names
  assert [rows and rows.size for rows in splits.tables(data, root)] == sizes
  if sizes[1] is None:
    with pytest.raises(UserError, match=r"tiny has no split 'validation'. Choose .*data.valid"):
      splits.table(data, 'validation', root)
  data.validation = 5
  rest, held, test = splits.tables(data, root)
  assert (rest.size, held.size, test.size) == (sizes[0] - 5, 5, sizes[2])
  every = [image.tobytes() for part in (rest, held, test) for image in part.load()['image']]
  assert len(set(every)) == len(every) == sizes[0] + sizes[2]
  index = np.arange(rest.size)[::-3]
  assert np.array_equal(rest.fetch(index)['image'], rest.load()['image'][index])


def test_what_suits_a_set():
  config = base('', {'lr': 1.0})
  config.model = dict(presets.AUTOENCODER)
  for name in ('mnist', '/x/mnist/3.0.1', 'kmnist:3.0.1'):
    presets.autoencoder_defaults(config, name)
    assert (config.data.name, config.data.binarise) == (name, 'dynamic')
    assert presets.is_drawing(name)
  presets.set_dataset(config, 'omniglot')
  assert (config.data.size, config.data.channels, config.model.net) == (28, 1, 'mlp')
  presets.autoencoder_defaults(config, 'unheard_of')  # photographs in colour
  assert config.model.net == 'resnet' and not presets.is_drawing('unheard_of')
  for name in sets.known():
    presets.autoencoder_defaults(config, name)
    assert check(config) is None


def test_a_config_is_read_without_what_reads_data():
  code = """
import sys
from vaejax.config.load import load_config
for name in ('digits', 'shapes', 'moving', 'mnist', 'cifar10', 'omniglot'):
  load_config(f'configs/vae.py:{name}')
heavy = ('PIL', 'tensorflow_datasets', 'grain', 'urllib.request')
print([m for m in heavy if m in sys.modules])
"""
  done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
  assert done.stdout.strip() == '[]'
