"""Files of arrays: every way to store the same images gives the same rows."""

import os
import pickle
import re
import sys

import numpy as np
import pytest

from vaejax.config.base import base
from vaejax.data import arrays
from vaejax.data.divide import divide
from vaejax.data.splits import tables
from vaejax.data.table import content
from vaejax.errors import UserError

RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, 256, (40, 6, 7, 3), np.uint8)
Y = np.arange(40) % 4
TRAIN, TEST, _ = divide(40)


def config(path, **fields):
  data = base('vae', {}).data
  data.update({'name': str(path), **fields})
  return data


def read(path, **fields):
  return tables(config(path, **fields), None)


def hdf5(path, compression=None, **arrays):
  import h5py

  with h5py.File(path, 'w') as file:
    for name, x in arrays.items():
      file.create_dataset(name, data=x, compression=compression)
  return path


def npz(path, **arrays):
  np.savez(path, **arrays)
  return path


def compressed(path, **arrays):
  np.savez_compressed(path, **arrays)
  return path


def npy(path, **arrays):
  """A folder of .npy files."""
  path = path.with_suffix('')
  path.mkdir()
  for name, x in arrays.items():
    np.save(path / f'{name.replace("/", "_")}.npy', x)
  return path


WRITERS = {
  'npz': (npz, '.npz'),
  'compressed': (compressed, '.npz'),
  'npy': (npy, ''),
  'h5': (hdf5, '.h5'),
  'gzip': (lambda path, **a: hdf5(path, 'gzip', **a), '.hdf5'),
}


def write(kind, folder, **arrays):
  writer, suffix = WRITERS[kind]
  return writer(folder / f'a{suffix}', **arrays)


def check(table, **fields):
  """The table has these rows, in order, and `fetch` gives them in any order."""
  rows, index = table.load(), RANDOM.permutation(table.size)
  fetched = table.fetch(index)
  assert rows.keys() == fields.keys() == table.row.keys()
  for name, x in fields.items():
    np.testing.assert_array_equal(rows[name], x)
    np.testing.assert_array_equal(fetched[name], np.asarray(x)[index])
    assert (rows[name].shape[1:], rows[name].dtype) == (
      table.row[name].shape,
      table.row[name].dtype,
    )


@pytest.mark.parametrize('kind', WRITERS)
def test_ten_percent_are_test(tmp_path, kind):
  path = write(kind, tmp_path, images=X, labels=Y)
  splits = read(path)
  assert len(TEST) == 4 and splits.validation is None
  check(splits.train, image=X[TRAIN], label=Y[TRAIN])
  check(splits.test, image=X[TEST], label=Y[TEST])
  assert '10 % of the rows are test, 4 of 40' in splits.train.notes[0]
  again = pickle.loads(pickle.dumps(splits.test.fetch))  # for workers
  np.testing.assert_array_equal(again(np.arange(4))['image'], X[TEST])


@pytest.mark.parametrize('kind', WRITERS)
@pytest.mark.parametrize(
  'names',
  [
    'x_train y_train x_test y_test x_val y_val',
    'train_images train_labels test_images test_labels valid_images valid_labels',
    'train/image train/label test/image test/label val/image val/label',
  ],
)
def test_splits_by_the_names_of_arrays(tmp_path, kind, names):
  parts = [X[:30], Y[:30], X[30:36], Y[30:36], X[36:], Y[36:]]
  splits = read(write(kind, tmp_path, **dict(zip(names.split(), parts, strict=True))))
  check(splits.train, image=X[:30], label=Y[:30])
  check(splits.test, image=X[30:36], label=Y[30:36])
  check(splits.validation, image=X[36:], label=Y[36:])


def test_splits_by_files(tmp_path):
  np.save(tmp_path / 'train.npy', X[:30])
  np.save(tmp_path / 'test.npy', X[30:])
  check(read(tmp_path).train, image=X[:30])
  check(read(tmp_path).test, image=X[30:])
  kmnist = tmp_path / 'kmnist'
  kmnist.mkdir()
  for split, part in (('train', slice(30)), ('test', slice(30, 40))):
    npz(kmnist / f'kmnist-{split}-imgs.npz', arr_0=X[part])
    npz(kmnist / f'kmnist-{split}-labels.npz', arr_0=Y[part])
  check(read(kmnist).train, image=X[:30], label=Y[:30])


def test_splits_by_an_array(tmp_path):
  split = np.asarray(['train', 'test', 'val', 'train'])[np.arange(40) % 4]
  splits = read(npz(tmp_path / 'a.npz', images=X, split=split))
  check(splits.train, image=X[(np.arange(40) % 4) % 3 == 0])
  check(splits.test, image=X[1::4])
  check(splits.validation, image=X[2::4])


def test_the_file_is_mapped(tmp_path):
  path = npz(tmp_path / 'a.npz', x_train=X, x_test=X[:5])
  assert isinstance(read(path).train.load()['image'], np.memmap)
  path = hdf5(tmp_path / 'a.h5', x_train=X, x_test=X[:5])
  assert isinstance(read(path).train.load()['image'], np.memmap)


def test_a_large_compressed_array_is_written_once(tmp_path, monkeypatch, cache):
  monkeypatch.setattr('vaejax.data.readers.stores.MEMORY_BYTES', 100)
  monkeypatch.setattr('vaejax.data.readers.stores.BLOCK_BYTES', 1000)
  path = compressed(tmp_path / 'large.npz', x_train=X, x_test=X[:5])
  check(read(path).train, image=X)
  assert isinstance(read(path).train.load()['image'], np.memmap)
  assert len(list(cache.glob('large-*'))) == 2


@pytest.mark.parametrize(
  ('x', 'stored', 'levels', 'note'),
  [
    (X > 127, (X > 127) * np.uint8(255), 2, 'black and white'),
    ((X > 127).astype(np.uint8), (X > 127) * np.uint8(255), 2, 'black and white'),
    (X.astype(np.int64), X, 256, 'int64 from 0 to 255, which are read as 8 bits'),
    (X.astype(np.uint16) * 257, X.astype(np.uint16) * 257, 65536, 'from 0 to 65535'),
    (X.astype(np.int32) * 100, X.astype(np.uint16) * 100, 65536, 'read as 16 bits'),
    (X.astype(np.int32) - 300, X.astype(np.float32) - 300, 0, 'int32 from -300 to -45'),
    (X / 255, (X / 255).astype(np.float32), 0, r'save \(255 \* x\).round\(\).astype\("uint8"\)'),
    (X.astype(np.float16), X.astype(np.float32), 0, r'save x.astype\("uint8"\)'),
    (X * 1e3, (X * 1e3).astype(np.float32), 0, 'values from 0 to 255000'),
  ],
)
def test_numbers_are_stored_as_they_are(tmp_path, x, stored, levels, note):
  splits = read(npz(tmp_path / 'a.npz', images=x))
  check(splits.train, image=stored[TRAIN])
  assert (splits.train.levels, splits.train.units is None) == (levels, stored.dtype == np.uint8)
  assert splits.train.units == splits.test.units
  assert any(re.search(note, line) for line in splits.train.notes)


def test_axes(tmp_path):
  x = RANDOM.integers(0, 256, (10, 3, 8, 8), np.uint8)
  splits = read(npz(tmp_path / 'torch.npz', x_train=x, x_test=x))
  check(splits.train, image=x.transpose(0, 2, 3, 1))
  assert 'which is read as [N, C, H, W]' in splits.train.notes[0]
  check(
    read(npz(tmp_path / 'grey.npz', x_train=x[:, 0], x_test=x[:, 0])).train,
    image=x[:, 0, ..., None],
  )
  check(
    read(npz(tmp_path / 'bands.npz', x_train=x, x_test=x), field='x').train,
    image=x.transpose(0, 2, 3, 1),
  )
  columns = np.asfortranarray(X)
  check(read(npz(tmp_path / 'fortran.npz', x_train=columns, x_test=columns)).train, image=X)
  check(read(compressed(tmp_path / 'f.npz', x_train=columns, x_test=columns)).train, image=X)


@pytest.mark.parametrize(
  ('shape', 'first'),
  [
    ((10, 3, 8, 8), True),
    ((10, 1, 8, 12), True),
    ((10, 3, 12, 8), True),
    ((10, 5, 8, 8), True),
    ((10, 5, 8, 12), False),
    ((10, 9, 8, 8), False),
    ((10, 8, 8, 10), False),
    ((10, 8, 12, 3), False),
    ((10, 3, 5, 3), False),
    ((10, 3, 4, 8), False),
    ((10, 1, 1, 8), False),
    ((10, 8, 3, 3), False),
  ],
)
def test_channels_first_and_last(tmp_path, shape, first):
  x = RANDOM.integers(0, 256, shape, np.uint8)
  train = read(npz(tmp_path / 'a.npz', x_train=x, x_test=x)).train
  check(train, image=np.moveaxis(x, 1, -1) if first else x)
  assert first == any('which is read as [N, C, H, W]' in note for note in train.notes)


@pytest.mark.parametrize(
  ('x', 'levels'),
  [(X, 256), (X > 127, 256), (X.astype(np.uint16) * 257, 65536), (X.astype(np.float32), 0)],
)
def test_levels_of_resized_images(tmp_path, x, levels):
  path = npz(tmp_path / 'a.npz', x_train=x, x_test=x)
  splits = read(path, size=4)
  for table in (splits.train, splits.test):
    assert table.row['image'].shape[0] == 4 and table.levels == levels


def test_an_unlikely_shape_is_said(tmp_path):
  for shape, words in (
    ((10, 5, 8, 12), '12 channels of 5x8'),
    ((8, 8, 3, 20), '20 channels of 8x3'),
  ):
    notes = read(npz(tmp_path / 'a.npz', images=np.zeros(shape, np.uint8))).train.notes
    assert any(note.endswith(f'which is read as {words}') for note in notes)


@pytest.mark.parametrize('dtype', ['>u2', '>i4', '>f4'])
def test_the_other_byte_order(tmp_path, dtype):
  x = X.astype(dtype)  # at most 255: 16 bits stay 16 bits
  train = read(npz(tmp_path / 'a.npz', x_train=x, x_test=x)).train
  stored = {'>u2': np.uint16, '>i4': np.uint8, '>f4': np.float32}[dtype]
  check(train, image=X.astype(stored))
  native = read(npz(tmp_path / 'b.npz', x_train=X.astype(dtype[1:]), x_test=x.astype(dtype[1:])))
  assert train.levels == native.train.levels


def test_labels_of_any_kind(tmp_path):
  names = np.asarray(['cat', 'dog', 'owl', ''])[Y]
  for i, labels in enumerate((names, np.char.encode(names), np.asarray([5, 700, 10**12, -1])[Y])):
    table = read(npz(tmp_path / f'{i}.npz', images=X, y=labels)).train
    assert table.classes == 3
    np.testing.assert_array_equal(table.load()['label'], np.where(Y == 3, -1, Y)[TRAIN])
  assert table.class_names == ('5', '700', '1000000000000')
  for i, labels in enumerate((Y[:, None], np.eye(4)[Y], Y.astype(float))):
    table = read(npz(tmp_path / f'k{i}.npz', images=X, labels=labels)).train
    np.testing.assert_array_equal(table.load()['label'], Y[TRAIN])


def test_text_labels_of_hdf5(tmp_path):
  table = read(hdf5(tmp_path / 'a.h5', images=X, labels=[['cat', 'dog'][i % 2] for i in Y])).train
  assert table.class_names == ('cat', 'dog')
  np.testing.assert_array_equal(table.load()['label'], (Y % 2)[TRAIN])


def test_several_labels_and_images(tmp_path):
  both = npz(tmp_path / 'a.npz', images=X, fine_labels=Y, coarse_labels=Y // 2)
  assert 'label' not in read(both).train.row
  assert 'fine_labels, coarse_labels could be labels' in read(both).train.notes[0]
  np.testing.assert_array_equal(
    read(both, label='coarse_labels').train.load()['label'], (Y // 2)[TRAIN]
  )
  assert 'label' not in read(npz(tmp_path / 'b.npz', images=X, y=Y), label='none').train.row
  two = npz(tmp_path / 'c.npz', left=X, right=X[::-1])
  with pytest.raises(UserError, match=r'several arrays that can be images: left, right. Choose'):
    read(two)
  check(read(two, field='right').train, image=X[::-1][TRAIN])


def test_labels_that_are_no_classes(tmp_path):
  several = npz(tmp_path / 'a.npz', images=X, labels=np.ones((40, 14), np.uint8))
  real = npz(tmp_path / 'b.npz', images=X, y=Y + 0.5)
  for path in (several, real):
    table = read(path).train
    assert 'label' not in table.row and table.notes[0].startswith('labels are not read: ')
  with pytest.raises(UserError, match=r'real numbers such as 0.5, not classes'):
    read(real, label='y')


def test_a_split_without_labels(tmp_path):
  splits = read(npz(tmp_path / 'a.npz', x_train=X, y_train=Y, x_test=X[:5]))
  check(splits.test, image=X[:5], label=np.full(5, -1))
  assert splits.test.classes == 4


def test_factors(tmp_path):
  factors = np.stack([Y * 10, Y // 2], 1)
  path = npz(tmp_path / 'a.npz', images=X, factors=factors, factor_names=['angle', 'side'])
  table = read(path).train
  check(table, image=X[TRAIN], factors=np.stack([Y, Y // 2], 1)[TRAIN])
  assert table.factors == {'angle': 4, 'side': 2}


def test_dsprites(tmp_path):
  binary = RANDOM.integers(0, 2, (40, 64, 64), np.uint8)
  classes = np.stack([Y * 0, Y % 3, Y, np.arange(40), Y, Y + 20], 1)
  path = compressed(
    tmp_path / 'dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz',
    metadata=np.asarray({'title': 'dSprites'}, object),  # pickled: never read
    imgs=binary,
    latents_classes=classes,
    latents_values=classes / 3.0,
  )
  table = read(path).train
  check(
    table,
    image=binary[TRAIN][..., None] * np.uint8(255),
    label=(Y % 3)[TRAIN],
    factors=classes[TRAIN],
  )
  assert list(table.factors.items()) == [
    ('color', 1), ('shape', 3), ('scale', 6), ('orientation', 40), ('x', 32), ('y', 32)
  ]  # fmt: skip
  assert (table.levels, table.class_names) == (2, ('square', 'ellipse', 'heart'))
  assert read(path, label='scale').train.classes == 6


def test_dsprites_as_hdf5(tmp_path):
  binary = RANDOM.integers(0, 2, (40, 64, 64), np.uint8)
  classes = np.stack([Y * 0, Y % 3, Y, np.arange(40), Y, Y + 20], 1)
  path = tmp_path / 'dsprites.hdf5'
  arrays = {'imgs': binary, 'latents/classes': classes, 'latents/values': classes / 3.0}
  table = read(hdf5(path, **arrays)).train
  image = binary[TRAIN][..., None] * np.uint8(255)
  check(table, image=image, label=(Y % 3)[TRAIN], factors=classes[TRAIN])
  assert table.class_names == ('square', 'ellipse', 'heart') and table.factors['orientation'] == 40


def test_3dshapes(tmp_path):
  x = RANDOM.integers(0, 256, (40, 64, 64, 3), np.uint8)
  numbers = np.stack([Y, Y + 1, Y + 6, Y + 4, Y % 4, Y + 11], 1)
  values = [np.arange(10) / 10] * 3 + [
    np.linspace(0.75, 1.25, 8),
    np.arange(4),
    np.linspace(-30, 30, 15),
  ]
  labels = np.stack([v[n] for v, n in zip(values, numbers.T, strict=True)], 1)
  table = read(hdf5(tmp_path / '3dshapes.h5', images=x, labels=labels)).train
  check(table, image=x[TRAIN], label=Y[TRAIN], factors=numbers[TRAIN])
  assert list(table.factors.items()) == [
    ('floor_hue', 10), ('wall_hue', 10), ('object_hue', 10), ('scale', 8), ('shape', 4),
    ('orientation', 15),
  ]  # fmt: skip
  assert (table.classes, table.levels) == (4, 256)


def test_galaxies(tmp_path):
  table = read(hdf5(tmp_path / 'Galaxy10.h5', ans=Y.astype(np.uint8), images=X)).train
  check(table, image=X[TRAIN], label=Y[TRAIN])


def test_sizes(tmp_path):
  path = npz(tmp_path / 'a.npz', images=X > 127)
  table = read(path, size=4, channels=1).train
  assert table.row['image'].shape == (4, 4, 1) and table.levels == 256  # greys between
  rows = table.load()['image']
  np.testing.assert_array_equal(table.fetch(np.asarray([3, 0]))['image'], rows[[3, 0]])


def test_videos_and_their_windows(tmp_path):
  x = RANDOM.integers(0, 256, (40, 9, 6, 7), np.uint8)
  path = npz(tmp_path / 'a.npz', videos=x, labels=Y)
  first = read(path, frames=4).train
  check(first, video=x[TRAIN, :4, ..., None], label=Y[TRAIN])
  table = read(path, frames=4, stride=2).train  # windows begin at 0, 2, 4
  windows = np.stack([x[TRAIN, s : s + 4] for s in (0, 2, 4)], 1)
  check(table, video=windows.reshape(-1, 4, 6, 7, 1), label=np.repeat(Y[TRAIN], 3))
  path = hdf5(tmp_path / 'a.h5', 'gzip', videos=x)
  check(read(path, frames=4, stride=2).train, video=windows.reshape(-1, 4, 6, 7, 1))
  with pytest.raises(UserError, match=r'frames=12 is too long: the videos of a.npz have 9 frames'):
    read(path.with_suffix('.npz'), frames=12)


def test_moving_mnist_has_frames_first(tmp_path, monkeypatch):
  x = RANDOM.integers(0, 256, (9, 40, 6, 6), np.uint8)
  monkeypatch.setattr('vaejax.data.axes.MOVING_MNIST', x.shape)
  np.save(tmp_path / 'mnist_test_seq.npy', x)
  table = read(tmp_path / 'mnist_test_seq.npy', frames=4, stride=5).train
  windows = np.stack([x.swapaxes(0, 1)[TRAIN, s : s + 4] for s in (0, 5)], 1)
  check(table, video=windows.reshape(-1, 4, 6, 6, 1))


def test_content_is_what_the_rows_are(tmp_path):
  digest = lambda x, name: content(read(npz(tmp_path / name, images=x, y=Y)).train)
  other = X.copy()
  other[39, 5, 6, 2] ^= 1
  a, moved, b = digest(X, 'a.npz'), digest(X, 'moved.npz'), digest(other, 'b.npz')
  assert a == moved and a['image'] != b['image'] and a['label'] == b['label']
  without = content(read(npz(tmp_path / 'c.npz', images=X)).train)
  assert without == {'image': a['image']}


MISTAKES = {
  'flat': ({'x': X.reshape(40, -1)}, r'shape \[40, 126\]. Images are \[N, H, W, C\]'),
  'square': ({'x': X.reshape(-1, 144)[:20]}, r'save x.reshape\(-1, 12, 12\)'),
  'video': ({'x': X[None]}, r'For videos, use a config of videos'),
  'text': ({'x': np.full((3, 4, 4), 'a')}, 'has no images'),
  'complex': ({'x': X * 1j}, 'has no images'),
  'objects': ({'x': np.asarray([X[0], X[1, 1:]], object)}, 'not read because that would run code'),
  'object labels': ({'x': X, 'y': np.asarray(['a', None] * 20)}, 'y of .* has Python objects'),
  'nan': ({'x': np.insert(X / 255, 7, np.nan, axis=0)}, r'nan in row 7 at \[0, 0, 0\]'),
  'infinite': ({'x': X * 1e300}, r'e[+]30. in row 0 at'),
  'no train': ({'x_test': X, 'x_val': X}, 'has the split test, validation, but no train'),
  'shapes': ({'x_train': X, 'x_test': X[:, 1:]}, 'test has 5x7x3, but train has 6x7x3'),
  'dtypes': ({'x_train': X, 'x_test': X / 255}, 'splits of float64 and uint8'),
  'none': ({'x': X[:0]}, 'which is empty'),
  'field': ({'x': X}, "data.field='z' is not in a.npz, which has x uint8"),
  'label': ({'x': X, 'y': Y}, "data.label='z' is not a label of a.npz"),
  'too few labels': ({'x': X, 'y': Y[:39]}, 'y of a.npz has 39 rows, but there are 40 x. Give one'),
}  # fmt: skip


@pytest.mark.parametrize('name', MISTAKES)
def test_a_mistake_is_one_line(tmp_path, name):
  arrays, message = MISTAKES[name]
  fields = {name: 'z'} if name in ('field', 'label') else {}
  with pytest.raises(UserError, match=message) as error:
    read(npz(tmp_path / 'a.npz', **arrays), **fields)
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('kind', ['npz', 'compressed', 'npy', 'h5'])
@pytest.mark.parametrize('damage', ['cut', 'other'])
def test_a_damaged_file_is_named(tmp_path, kind, damage):
  path = write(kind, tmp_path, images=X)
  file = path / 'images.npy' if kind == 'npy' else path
  file.write_bytes(file.read_bytes()[:3000] if damage == 'cut' else b'no array')
  with pytest.raises(UserError, match=r'damaged') as error:
    read(path)
  assert str(file) in str(error.value)


@pytest.mark.parametrize('chunk', [4, 40])
def test_damaged_chunks_of_hdf5_are_named(tmp_path, chunk):
  import h5py

  path = tmp_path / 'a.h5'
  with h5py.File(path, 'w') as file:
    file.create_dataset('images', data=X, compression='gzip', chunks=(chunk, 6, 7, 3))
  data = path.read_bytes()
  path.write_bytes(data[: len(data) // 2] + bytes(500) + data[len(data) // 2 + 500 :])
  with pytest.raises(UserError, match=r'cannot read .*a.h5: damaged\?'):
    read(path)


def test_h5py_is_an_extra(tmp_path, monkeypatch):
  path = hdf5(tmp_path / 'a.h5', images=X)
  monkeypatch.setitem(sys.modules, 'h5py', None)
  with pytest.raises(UserError, match=r"not installed. Run pip install 'vaejax\[hdf5\]'"):
    read(path)


def test_what_other_files_decide_is_read_again(tmp_path, cache):
  x, binary = X[..., 0], (X[..., 0] > 127).astype(np.uint8)
  files = npy(tmp_path / 'data', x_train=binary, x_test=binary[:8], y_train=Y, y_test=Y[:8])
  first = read(files, size=6).train.load()
  assert first['image'].max() == 255
  np.save(files / 'y_train.npy', 3 - Y)
  os.utime(files / 'y_train.npy', (0, 0))  # not that of before, however coarse the disk's times are
  second = read(files, size=6).train.load()
  np.testing.assert_array_equal(second['label'], 3 - Y)
  np.save(files / 'x_test.npy', x[:8])  # so 0 and 1 are no longer black and white
  os.utime(files / 'x_test.npy', (0, 0))
  third = read(files, size=6).train.load()
  assert third['image'].max() == 1


def test_the_first_test_rows_of_a_grid_of_factors_have_all_of_its_values(tmp_path):
  """Evals test the first rows of a split, and published grids are in the order of their factors."""
  grid = np.stack(np.unravel_index(np.arange(4000), (4, 10, 100)), 1)
  images = np.repeat(np.arange(4000)[:, None] % 251, 4, 1).astype(np.uint8).reshape(-1, 2, 2)
  given = {'images': images, 'factors': grid}
  test = read(npz(tmp_path / 'a.npz', **given)).test
  first = test.fetch(np.arange(60))
  assert [len(set(column)) for column in first['factors'][:, :2].T] == [4, 10]
  index = np.ravel_multi_index(test.load()['factors'].T, (4, 10, 100))
  assert sorted(index) == divide(4000)[1].tolist()
  np.testing.assert_array_equal(test.load()['image'][:, 0, 0, 0], index % 251)
  own = arrays.tables({'images': images, 'factors': grid})['test'].load()
  np.testing.assert_array_equal(own['factors'], test.load()['factors'])
