"""Splits and classes, from the names of files in folders."""

import numpy as np
import pytest

from vaejax.data import name_hash
from vaejax.data.readers import groups


def stored(*names):
  found = groups.group(sorted(names))
  return {split: [sorted(names)[i] for i in rows] for split, rows in found.rows.items()}


def classes(*names):
  """{name: its class or None}, with the folders of splits."""
  names = sorted(names)
  found = groups.group(names)
  known, labels = groups.classes(found.places)
  return {
    names[i]: known[label] if label >= 0 else None
    for split, rows in found.rows.items()
    for i, label in zip(rows, labels[split], strict=True)
  }


def test_folders_are_splits():
  found = stored('train/1.png', 'train/a/2.png', 'val/3.png', 'Test/4.png', 'extra/5.png', '6.png')
  want = {
    'train': ['train/1.png', 'train/a/2.png'],
    'validation': ['val/3.png'],
    'test': ['Test/4.png'],
  }
  assert found == want
  assert groups.group(['6.png', 'extra/5.png', 'test/1.png', 'train/1.png']).outside == 2
  assert set(stored('train/1.png', 'valid/2.png')) == {'train', 'validation'}
  assert set(stored('pets/data/train/1.png', 'pets/data/test/2.png')) == {'train', 'test'}
  assert stored('train/a/1.png', 'train/b/2.png') == {'train': ['train/a/1.png', 'train/b/2.png']}


def test_without_a_train_folder_there_are_no_splits():
  for names in (('1.png', '2.png'), ('test/1.png', 'val/2.png'), ('a/1.png', 'test/1.png')):
    assert stored(*names) == {'train': sorted(names)}


def test_a_class_can_be_called_train():
  names = ('bus/1.png', 'car/2.png', 'train/3.png')
  assert stored(*names) == {'train': list(names)}
  assert classes(*names) == dict(zip(names, ('bus', 'car', 'train'), strict=True))


@pytest.mark.parametrize('place', ['', 'data/', 'train/', 'x/train/images/'])
def test_the_first_folders_are_classes(place):
  names = [place + name for name in ('cat/1.png', 'cat/deep/er/2.png', 'dog/3.png')]
  assert list(classes(*names).values()) == ['cat', 'cat', 'dog']


@pytest.mark.parametrize(
  'names', [('1.png', '2.png'), ('a/1.png', 'a/2.png'), ('a/b/1.png',), ('a/1.png', '2.png')]
)
def test_one_folder_is_no_class(names):
  assert set(classes(*names).values()) == {None}


def test_splits_share_classes():
  found = classes('train/cat/1.png', 'train/dog/2.png', 'val/cat/3.png', 'test/4.png')
  want = {
    'train/cat/1.png': 'cat',
    'train/dog/2.png': 'dog',
    'val/cat/3.png': 'cat',  # the only folder, but known as a class
    'test/4.png': None,
  }
  assert found == want
  found = classes('train/a/1.png', 'train/c/2.png', 'test/all/b/1.png', 'test/all/c/1.png')
  assert [found[name] for name in sorted(found)] == ['b', 'c', 'a', 'c']
  assert (
    classes('train/a/1.png', 'train/b/2.png', 'test/unknown/3.png')['test/unknown/3.png'] is None
  )


def test_other_names_of_splits():
  assert stored('training/3/a.png', 'testing/3/b.png') == {
    'train': ['training/3/a.png'],
    'test': ['testing/3/b.png'],
  }
  assert stored('train2017/a.png', 'val2017/b.png', 'test2017/c.png') == {
    'train': ['train2017/a.png'],
    'validation': ['val2017/b.png'],
    'test': ['test2017/c.png'],
  }
  assert stored('Train_1/a.png', 'train_2/b.png', 'TEST/c.png') == {
    'train': ['Train_1/a.png', 'train_2/b.png'],
    'test': ['TEST/c.png'],
  }
  for name in ('trains', 'test tube', 'validated', 'train a', 'val2b'):
    assert set(stored('train/a/1.png', f'{name}/2.png')) == {'train'}


def test_splits_in_each_class_folder():
  names = 'cat/train/1.png', 'cat/test/2.png', 'dog/Train/a/3.png', 'dog/val/4.png'
  assert stored(*names) == {
    'train': ['cat/train/1.png', 'dog/Train/a/3.png'],
    'validation': ['dog/val/4.png'],
    'test': ['cat/test/2.png'],
  }
  assert [classes(*names)[name] for name in names] == ['cat', 'cat', 'dog', 'dog']
  assert set(stored(*names, 'dog/5.png')) == {'train'}


def test_subfolders_of_a_split_with_one_class_are_no_classes():
  train = 'train/cat/siam/1.png', 'train/dog/pug/2.png', 'train/dog/lab/3.png'
  found = classes(*train, 'test/dog/pug/4.png', 'test/dog/lab/5.png', 'val/cat/siam/6.png')
  assert [found[name] for name in train] == ['cat', 'dog', 'dog']
  assert found['test/dog/pug/4.png'] == found['test/dog/lab/5.png'] == 'dog'
  assert found['val/cat/siam/6.png'] == 'cat'


def test_both_forms_of_an_accent_are_one_class():
  composed, decomposed = 'caf\u00e9', 'cafe\u0301'
  names = [
    f'train/{composed}/1.png',
    'train/tea/2.png',
    f'test/{decomposed}/3.png',
    'test/tea/4.png',
  ]
  found = classes(*names)
  assert [found[name] for name in names] == [composed, 'tea', composed, 'tea']


def test_pictures_outside_of_class_folders_have_no_label():
  assert classes('1.png', 'cat/2.png', 'dog/3.png')['1.png'] is None


def split_by_name(names):
  names = sorted(names)
  rows = groups.with_test({'train': np.arange(len(names))}, name_hash.fractions(names))
  return {split: {names[i] for i in index} for split, index in rows.items()}


def test_a_split_by_names_is_stable_when_files_are_added_or_removed():
  names = [f'photo {i}.jpg' for i in range(3000)]
  complete = split_by_name(names)
  assert complete['train'] | complete['test'] == set(names)
  assert not complete['train'] & complete['test']
  assert abs(len(complete['test']) - 300) < 60
  part = split_by_name(names[1000:])
  assert part['test'] == complete['test'] & set(names[1000:])
  # The same on every machine, as a number of the name alone.
  assert name_hash.fractions(['a.png']).tolist() == [0.882865517843342]
  composed, decomposed = 'caf\u00e9.png', 'cafe\u0301.png'
  assert name_hash.fractions([composed]) == name_hash.fractions([decomposed])


@pytest.mark.parametrize('count', [2, 3, 5])
def test_each_split_has_a_picture(count):
  for seed in range(30):
    found = split_by_name([f'{seed}-{i}.png' for i in range(count)])
    assert found['train'] and found['test'] and not found['train'] & found['test']


def test_one_picture_is_in_both_splits():
  assert split_by_name(['a.png']) == {'train': {'a.png'}, 'test': {'a.png'}}


def test_validation_replaces_a_missing_test_split():
  train, validation, test = np.arange(3), np.arange(3, 5), np.arange(5, 6)
  fractions = np.zeros(6)
  found = groups.with_test({'train': train, 'validation': validation}, fractions)
  assert list(found) == ['train', 'test'] and found['test'] is validation
  found = groups.with_test({'train': train, 'test': test}, fractions)
  assert list(found) == ['train', 'test'] and found['test'] is test
  found = groups.with_test({'train': train, 'validation': validation, 'test': test}, fractions)
  assert list(found) == ['train', 'validation', 'test']
