"""Arrays as a data set: what they become, what tells them apart, what they cannot be."""

import numpy as np
import pytest

from vaejax.config.base import base
from vaejax.data import arrays, sources, splits
from vaejax.data.divide import divide
from vaejax.data.table import content
from vaejax.errors import UserError

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, (9, 4, 5, 3), dtype=np.uint8)
Y = np.arange(9) % 4


def config(**fields):
  data = base('rvae' if 'frames' in fields else 'vae', {}).data
  data.update({'name': arrays.NAME, **fields})
  return data


def test_rows_come_back_as_they_were():
  given = arrays.tables(
    {'train': {'image': X, 'label': Y}, 'test': {'image': X[:3], 'label': Y[:3]}}
  )
  rows = splits.table(config(), 'test', given)
  assert (rows.size, rows.classes) == (3, 4)
  source = sources.test(config(), rows)
  batch = source.rows(next(source.blocks(3)), np.arange(3))
  np.testing.assert_allclose(batch['image'], X[:3] / 255, atol=1e-6)
  np.testing.assert_array_equal(batch['label'], Y[:3])


@pytest.mark.parametrize('mode', ['resident', 'stream'])
def test_real_numbers_come_back_exactly(mode):
  x = RANDOM.normal(5, 1000, (9, 4, 4)).astype(np.float32)
  given = arrays.tables({'train': x, 'test': x[:3] / 2})
  data = config(mode=mode, seed=0)
  source = sources.test(data, splits.table(data, 'test', given))
  batch = source.rows(next(source.blocks(3)), np.arange(3))
  example = source.example
  own = example.units.inverse(batch['image'])[..., 0]
  np.testing.assert_allclose(own, x[:3] / 2, rtol=1e-5, atol=1e-3)
  # Units are those of train, or the splits would not be of one run.
  assert example.levels == 0 and example.units.low == (float(x.min()),)
  draw = sources.train(data, splits.table(data, 'train', given), 9, 0)
  buffer, _ = next(draw.buffers(0, 1))
  drawn = np.asarray(draw.draw(buffer, None, np.int32(0))['image'])[..., 0]
  assert abs(drawn.mean()) < 1e-5 and abs(drawn.std() - 1) < 1e-5
  order = lambda rows: rows[np.argsort(rows[:, 0, 0])]
  np.testing.assert_allclose(order(example.units.inverse(drawn)), order(x), rtol=1e-5, atol=1e-2)


def test_a_checksum_tells_them_apart():
  digests = lambda x: content(arrays.tables({'train': x, 'test': x})['train'])
  other = X.copy()
  other[8, 3, 4, 2] ^= 1
  swapped = X[::-1]
  assert digests(X) == digests(X.copy()) == digests(np.asfortranarray(X))
  assert len({digests(x)['image'] for x in (X, other, swapped, X[:8])}) == 4
  labelled, others = digests({'image': X, 'label': Y}), digests({'image': X, 'label': Y[::-1]})
  assert labelled['image'] == others['image'] == digests(X)['image']
  assert labelled['label'] != others['label']


def test_images_and_videos_are_brought_to_a_size():
  given = arrays.tables({'train': X, 'test': X})
  assert splits.table(config(size=8, channels=1), 'train', given).row['image'].shape == (8, 8, 1)
  half = np.repeat(np.repeat(X[..., :1], 2, 1), 2, 2) / 7
  table = splits.table(config(size=4), 'train', arrays.tables({'train': half, 'test': half}))
  assert (table.load()['image'].shape, table.levels) == ((9, 4, 4, 1), 0)
  videos = arrays.tables({'videos': np.stack([X, X], 1)})
  table = splits.table(config(size=8, channels=1), 'train', videos)
  assert table.load()['video'].shape == (8, 2, 8, 8, 1)
  black = splits.table(config(size=3), 'train', arrays.tables(X[..., 0] > 127))
  assert black.levels == 256 and len(np.unique(black.load()['image'])) > 2


def test_padded_arrays_are_on_the_background():
  given = arrays.tables({'train': X, 'test': X})
  rows = splits.table(config(size=6, fit='pad', background='white'), 'train', given).load()['image']
  np.testing.assert_array_equal(rows[:, 1:5, :5], X)
  assert (rows[:, [0, 5]] == 255).all() and (rows[:, :, 5] == 255).all()


def test_videos_are_cut_into_windows():
  x = RANDOM.integers(0, 256, (5, 11, 4, 4, 1), dtype=np.uint8)
  given = arrays.tables(
    {s: {'videos': x[:n], 'labels': Y[:n]} for s, n in (('train', 5), ('test', 2))}
  )
  rows = splits.table(config(frames=4, stride=3), 'test', given)
  want = [clip[s : s + 4] for clip in x[:2] for s in (0, 3, 6)]
  np.testing.assert_array_equal(rows.load()['video'], want)
  np.testing.assert_array_equal(rows.fetch(np.asarray([4, 0]))['video'], [want[4], want[0]])
  assert rows.labels().tolist() == rows.load()['label'].tolist() == [0, 0, 0, 1, 1, 1]
  assert rows.groups().tolist() == [0, 0, 0, 1, 1, 1] and rows.size == 6
  assert rows.row['video'].shape == (4, 4, 4, 1)
  first = splits.table(config(frames=4, stride=0, size=2), 'train', given)
  assert (first.size, first.load()['video'].shape) == (5, (5, 4, 2, 2, 1))
  plain = splits.table(config(frames=4, stride=0), 'train', given)
  np.testing.assert_array_equal(plain.load()['video'], x[:, :4])
  digests = {content(table)['video'] for table in (rows, first, plain, given['train'])}
  assert len(digests) == 4
  resized = splits.table(config(frames=4, stride=3, size=2), 'train', given)
  assert resized.groups().tolist() == np.repeat(np.arange(5), 3).tolist()
  every = splits.table(config(frames=11, stride=3), 'train', given)
  np.testing.assert_array_equal(every.load()['video'], x)
  with pytest.raises(
    UserError, match=r'frames=12 is too long: the longest video of the test data has 11 frames'
  ):
    splits.table(config(frames=12), 'test', given)
  with pytest.raises(UserError, match=r'data.stride=-1 is not a number of frames'):
    splits.table(config(frames=4, stride=-1), 'test', given)


@pytest.mark.parametrize('mode', ['resident', 'stream'])
def test_units_of_videos_are_those_of_their_windows(mode):
  x = RANDOM.normal(5, 1000, (9, 8, 4, 4, 1)).astype(np.float32)
  x[:, 4:] *= 100  # frames that are not read
  given = arrays.tables({'train': {'videos': x}, 'test': {'videos': x}})
  data = config(mode=mode, frames=4, stride=0)
  source = sources.test(data, splits.table(data, 'test', given))
  batch = np.asarray(source.rows(next(source.blocks(9)), np.arange(9))['video'])
  assert abs(batch.mean()) < 1e-4 and abs(batch.std() - 1) < 1e-4
  own = source.example.units.inverse(batch)
  np.testing.assert_allclose(own, x[:, :4], rtol=1e-4, atol=1e-1)


def test_arrays_without_splits():
  train, test, _ = divide(9, shuffled=True)
  given = arrays.tables(
    {'images': X, 'labels': np.asarray(['b', 'a', ''])[Y % 3], 'factors': {'x': Y, 'y': Y * 10}}
  )
  for split, index in (('train', train), ('test', test)):
    rows = given[split].load()
    np.testing.assert_array_equal(rows['image'], X[index])
    np.testing.assert_array_equal(rows['label'], np.asarray([1, 0, -1])[Y % 3][index])
    np.testing.assert_array_equal(rows['factors'], np.stack([Y, Y], 1)[index])
  assert given['train'].class_names == ('a', 'b') and given['train'].factors == {'x': 4, 'y': 4}
  assert given['train'].notes == ('there is no test split: 10 % of the rows are test, 1 of 9',)
  assert arrays.tables(X)['train'].size == 8


def test_numbers_become_what_fits_them():
  kinds = {
    'uint8': X > 100,
    'uint16': X.astype(np.uint16),
    'float32': X.astype(np.int64) - 9,
  }
  for dtype, x in kinds.items():
    rows = arrays.tables({'train': x, 'test': x[:2]})['test'].load()['image']
    assert rows.dtype == dtype
    np.testing.assert_array_equal(rows, x[:2] * (255 if x.dtype == bool else 1))


def test_a_memory_map_is_not_copied(tmp_path):
  np.save(tmp_path / 'x.npy', X)
  x = np.load(tmp_path / 'x.npy', mmap_mode='r')
  rows = arrays.tables({'train': x, 'test': x})['train'].load()['image']
  assert np.shares_memory(rows, x) and arrays.is_mapped(rows)


V = np.zeros((2, 3, 4, 4, 1), np.uint8)
MISTAKES = {
  'no test': ({'train': X}, "has no 'test'"),
  'another split': ({'train': X, 'test': X, 'valid': X}, "has an unknown split 'valid'. Give"),
  'no image': ({'train': {'x': X}, 'test': X}, "train has the fields 'x'. Give either 'images' or"),
  'both': ({'train': {'image': X, 'video': V}, 'test': X}, "fields 'image', 'video'"),
  'rank': ({'train': X[0, 0], 'test': X}, r'has the shape \[5, 3\]'),
  'two dtypes': ({'train': X.astype(int), 'test': X}, 'splits of int64 and uint8'),
  'text': ({'train': np.full((2, 4, 4), 'a'), 'test': X}, 'the dtype <U1. Give numbers'),
  'nan': ({'train': X * np.nan, 'test': X}, r'image of train has nan in row 0 at \[0, 0, 0\]'),
  'ragged': ({'train': [[1], [1, 2]], 'test': X}, 'differ in shape'),
  'none': ({'train': X[:0], 'test': X}, '0 of image rows'),
  'labels': ({'train': {'image': X, 'label': Y[:4]}, 'test': X}, '9 of image, 4 of label rows'),
  'real labels': ({'images': X, 'labels': Y + 0.5}, 'real numbers such as 0.5, not classes'),
  'one split without': ({'train': {'image': X, 'label': Y}, 'test': X}, 'test has image uint8'),
  'another shape': ({'train': X, 'test': X[:, 1:]}, r'test has image uint8 \[3, 5, 3\], but train'),
  'factors': ({'images': X, 'factors': Y[:, None, None]}, r'factors of data have the shape'),
}


@pytest.mark.parametrize('name', MISTAKES)
def test_a_mistake_is_one_line(name):
  data, message = MISTAKES[name]
  with pytest.raises(UserError, match=message) as found:
    arrays.tables(data)
  assert '\n' not in str(found.value)


def test_without_the_arrays():
  with pytest.raises(UserError, match=r'given to vaejax.train and are not saved'):
    splits.table(config(), 'train', None)
  with pytest.raises(UserError, match=r"no split 'validation'\. Choose train or test"):
    splits.table(config(), 'validation', arrays.tables({'train': X, 'test': X}))


def test_factors_of_splits_are_matched_by_their_names():
  size, hue = np.arange(9) % 3, np.arange(9) % 2
  train = {'image': X, 'factors': {'size': size, 'hue': hue}}
  swapped = {'image': X, 'factors': {'hue': hue, 'size': size}}
  given = arrays.tables({'train': train, 'test': swapped})
  assert dict(given['train'].factors) == {'size': 3, 'hue': 2}
  loaded = [splits.table(config(), split, given).load()['factors'] for split in ('train', 'test')]
  np.testing.assert_array_equal(*loaded)
  with pytest.raises(
    UserError, match='test has the factors hue, but the first split has size, hue'
  ):
    arrays.tables({'train': train, 'test': {'image': X, 'factors': {'hue': hue}}})
