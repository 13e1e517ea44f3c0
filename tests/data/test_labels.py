"""How many rows of a table have a label, without reading its images where that is avoidable."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from vaejax.data import labels
from vaejax.data.readers import files, folder
from vaejax.data.settings import Settings
from vaejax.data.subset import subset, without
from vaejax.data.table import of_arrays, rendered
from vaejax.errors import UserError

LABEL = np.array([0, -1, 2, 2, -1], np.int32)


def table(label=LABEL, classes=3):
  image = np.zeros((len(label), 2, 2, 1), np.uint8)
  return of_arrays({'image': image, 'label': np.asarray(label, np.int32)}, classes, 'toy train')


def unread(*_):
  raise AssertionError('images were read')


def test_labels_are_counted_without_the_images():
  rows = table()._replace(load=unread, fetch=unread)
  assert labels.count(rows, 0) == (5, 3) and labels.count(rows, 0).unlabelled == 2
  assert labels.read(subset(rows, np.array([4, 2])), 0).tolist() == [-1, 2]
  assert labels.read(without(rows, np.array([1, 4])), 0).tolist() == [0, 2, 2]


def test_a_table_is_read_only_within_the_budget():
  rows = table()._replace(labels=None)
  assert labels.count(rows, 5 * 8) == (5, 3)
  assert labels.count(rows._replace(load=unread), 5 * 8 - 1) is None


def test_a_sample_reaches_from_the_first_row_to_the_last():
  label = np.zeros(1000)
  assert labels.sample(table(label)) == (100, 100)
  label[[0, 999]] = -1
  assert labels.sample(table(label)) == (100, 98)
  assert labels.sample(table()) == (5, 3)


def test_a_rendered_table_and_one_without_labels():
  render = lambda i: {'image': jnp.zeros((len(i), 2, 2, 1)), 'label': jnp.asarray(i) % 4 - 1}
  assert labels.count(rendered(10, render, 3, 'toy'), 0) == (10, 7)
  rows = of_arrays({'image': np.zeros((4, 2, 2, 1), np.uint8)}, None, 'toy')
  assert labels.count(rows, 0) == (4, 0)


def test_a_label_beyond_the_declared_classes_is_refused():
  with pytest.raises(UserError, match='toy train has the label 2, but declares 2 classes, 0 to 1'):
    labels.count(table(classes=2), 0)


def test_files_and_folders_give_labels_without_decoding(tmp_path):
  image, names = np.zeros((6, 4, 4, 1), np.uint8), np.array(['dog', '', 'cat', 'dog', 'cat', 'cat'])
  np.savez(tmp_path / 'set.npz', train_images=image, train_labels=names, test_images=image)
  for i in range(6):
    for split in ('train', 'test'):
      place = tmp_path / 'folder' / split / ('cat', 'dog')[i % 2]
      place.mkdir(parents=True, exist_ok=True)
      Image.fromarray(np.full((4, 4), 20 * i, np.uint8)).save(place / f'{i}.png')
  for reader, path in ((files, tmp_path / 'set.npz'), (folder, tmp_path / 'folder')):
    rows = reader.table(str(path), 'train', Settings())
    assert rows.class_names == ('cat', 'dog')
    assert labels.read(rows._replace(load=unread, fetch=unread), 0).tolist() == (
      rows.load()['label'].tolist()
    )
