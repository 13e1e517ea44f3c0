"""Slices of splits: the rows that TFDS gives for the same text, of every kind of table."""

import numpy as np
import pytest

from vaejax.config.base import base
from vaejax.data import slices, splits
from vaejax.data.table import content, of_arrays
from vaejax.errors import UserError


def data(name='digits', **fields):
  config = base('', {}).data
  config.update({'name': name} | fields)
  return config


SPLITS = [
  'test[:10%]',
  'test[10%:]',
  'test[:-5]',
  'test[-5:]',
  'test[2:7]',
  'test[-30.5%:90%]',
  'test[50%:51%]',
  'train+test',
  'train[:3] + test[1:2]',
  'test[:25]',
  'test',
]


@pytest.mark.parametrize('split', SPLITS)
def test_the_rows_are_those_of_tfds(tmp_path, prepare, pictures, split):
  import tensorflow_datasets as t

  rows = {
    s: [{'image': p, 'label': i % 3} for i, p in enumerate(pictures(n, (4, 4, 3), n))]
    for s, n in (('train', 41), ('test', 25))
  }
  features = {
    'image': t.features.Image(shape=(4, 4, 3)),
    'label': t.features.ClassLabel(names=[*'abc']),
  }
  folder = prepare(tmp_path, rows, features)
  want = list(t.builder_from_directory(folder).as_data_source(split))
  table = splits.table(data('tiny'), split, str(tmp_path))
  assert (table.size, table.classes) == (len(want), 3)
  for got in (table.load(), table.fetch(np.arange(table.size))):
    assert np.array_equal(got['image'], [row['image'] for row in want])
    assert np.array_equal(got['label'], [row['label'] for row in want])
  assert np.array_equal(table.labels(), table.load()['label'])
  last = table.fetch(np.array([table.size - 1, 0]))['image']
  assert np.array_equal(last, [want[-1]['image'], want[0]['image']])


def test_val_is_validation(tmp_path):
  from PIL import Image

  for folder, count in (('train', 4), ('val', 3), ('test', 2)):
    (tmp_path / folder).mkdir()
    for i in range(count):
      Image.fromarray(np.full((4, 4), 10 * count + i, np.uint8)).save(
        tmp_path / folder / f'{i}.png'
      )
  shades = lambda split: splits.table(data(str(tmp_path)), split, None).load()['image'][:, 0, 0, 0]
  for name in ('val', 'valid', 'validation'):
    assert shades(name).tolist() == [30, 31, 32]
    assert shades(f'{name}[1:]').tolist() == [31, 32]
    assert shades(f'test + {name}[:1]+{name}').tolist() == [20, 21, 30, 30, 31, 32]
  name = lambda split, **fields: splits.split_name(
    data(**{'name': str(tmp_path)} | fields), split, None
  )
  assert name('train+val[:10%]') == 'train+validation[:10%]' and name('val.x') == 'val.x'
  # Rows that are held out, and a dataset without validation.
  assert name('val', name='digits', validation=100) == 'validation'
  assert name('stacked_digits', name='stacked_digits') == 'stacked_digits'
  assert name('val', name='stacked_digits', validation=100) == 'validation'
  with pytest.raises(UserError, match="no split 'val'"):
    splits.table(data(), 'val', None)


def test_a_split_that_is_called_val_stays(tmp_path, prepare, pictures):
  import tensorflow_datasets as t

  rows = {s: [{'image': p} for p in pictures(4, (4, 4, 3))] for s in ('train', 'val', 'test')}
  prepare(tmp_path, rows, {'image': t.features.Image(shape=(4, 4, 3))})
  assert splits.split_name(data('tiny'), 'val[:2]', str(tmp_path)) == 'val[:2]'
  assert splits.table(data('tiny'), 'val[:2]', str(tmp_path)).size == 2


@pytest.mark.parametrize('name', ['digits', 'shapes', 'moving'])
def test_of_sets_that_are_drawn_or_included(name):
  whole = splits.table(data(name), 'test', None)
  cut = splits.table(data(name), 'test[5:9]', None)
  joined = splits.table(data(name), 'test[7:9]+train[:2]+test[:1]', None)
  first = splits.table(data(name), 'train', None).fetch(np.arange(2))
  assert (cut.size, joined.size) == (4, 5)
  want = {
    k: np.concatenate([whole.fetch(np.array([7, 8]))[k], first[k], whole.fetch(np.array([0]))[k]])
    for k in whole.row
  }
  for k in whole.row:
    assert np.array_equal(cut.fetch(np.arange(4))[k], whole.fetch(np.arange(5, 9))[k])
    for got in (joined.fetch(np.arange(5)), joined.load()):
      assert np.array_equal(got[k], want[k])
    if whole.render:
      assert np.array_equal(joined.render(np.arange(5))[k], want[k])
      assert np.array_equal(cut.render(np.arange(4))[k], whole.fetch(np.arange(5, 9))[k])


def test_rows_that_are_held_out_are_those_of_the_run():
  config = data(validation=100)
  rest, held, _ = splits.tables(config, None)
  both = splits.table(config, 'train[-3:]+validation', None)
  assert np.array_equal(both.load()['image'][:3], rest.load()['image'][-3:])
  assert np.array_equal(both.load()['image'][3:], held.load()['image'])
  assert both.origin == f'{rest.origin}[-3:] + {held.origin}'


def test_a_slice_is_identified_by_its_rows(monkeypatch):
  test = splits.table(data(), 'test', None)
  assert content(splits.table(data(), 'test[:100%]', None)) == content(test)
  ten, percent = (content(splits.table(data(), s, None)) for s in ('test[:30]', 'test[:10%]'))
  assert ten == percent != content(splits.table(data(), 'test[1:31]', None))
  monkeypatch.setattr(slices.fingerprint, 'EXACT_BYTES', 10)
  sampled = content(splits.table(data(), 'test[:200]', None))
  assert sampled == content(splits.table(data(), 'test[0:200]', None))
  assert sampled['image'].startswith('200 rows ')
  assert sampled != content(splits.table(data(), 'test[:201]', None))


def test_of_a_large_split_only_the_slice_is_read(monkeypatch):
  rows = of_arrays({'image': np.arange(5000, dtype=np.uint8)[:, None, None, None]}, None, 'big')
  asked = []
  fetch = lambda index: asked.append(len(index)) or rows.fetch(index)
  big = rows._replace(load=None, fetch=fetch, names=lambda: [f'{i}.png' for i in range(5000)])
  monkeypatch.setattr(slices, 'LOAD_BYTES', 100)
  cut = slices.read('train[10:2010]', lambda name: big)
  assert np.array_equal(cut.load()['image'], rows.load()['image'][10:2010])
  assert sum(asked) == 2000 and cut.names()[0] == '10.png' and len(cut.names()) == 2000


@pytest.mark.parametrize(
  'split, message',
  [
    ('test[', "'test\\[' is neither a split nor a slice"),
    ('test[5]', 'neither a split nor a slice of one. Give for example'),
    ('test[:5.5]', 'neither a split nor a slice'),
    ('test[a:]', 'neither a split nor a slice'),
    ('test[:1:2]', 'neither a split nor a slice'),
    ('test+', "'' is neither a split nor a slice"),
    ('test[5:5]', r"split='test\[5:5\]' is rows 5 to 5 of digits test, which has 297 rows"),
    ('test[:1000]', 'rows 0 to 1000 of digits test, which has 297 rows'),
    ('test[:200%]', 'rows 0 to 594'),
    ('test[-300:]', 'rows -3 to 297'),
    ('tset[:5]', "digits has no split 'tset'. Choose train or test"),
    ('validation[:5]', "digits has no split 'validation'"),
  ],
)
def test_a_wrong_slice_is_answered_in_one_line(split, message):
  with pytest.raises(UserError, match=message) as error:
    splits.table(data(), split, None)
  assert '\n' not in str(error.value)


def test_splits_that_differ_are_not_added():
  a = of_arrays({'image': np.zeros((2, 4, 4, 1), np.uint8)}, None, 'a')
  b = of_arrays({'image': np.zeros((2, 5, 5, 1), np.uint8)}, None, 'b')
  with pytest.raises(UserError, match="split='a\\+b': a and b differ in the shapes"):
    slices.read('a+b', {'a': a, 'b': b}.get)


def test_an_evaluation_of_a_slice_is_recorded_as_that(copied):
  import json

  from vaejax.cli.main import main

  for split in ('test', 'test[:10%]'):
    assert main(['evaluate', f'--workdir={copied}', f'--split={split}', '--evals=elbo']) == 0
  recorded = json.loads((copied / 'evaluation.json').read_text())
  entry = recorded['test[:10%]/elbo']
  assert (entry['split'], entry['n'], entry['read']) == ('test[:10%]', 30, 'digits test[:10%]')
  assert (recorded['elbo']['n'], recorded['elbo']['read']) == (297, 'digits test')
