"""A folder of pictures as a dataset."""

import os
import pickle

import numpy as np
import pytest
from deep_png import png
from PIL import Image

from vaejax.config.load import load_config
from vaejax.data import sets, sources, splits
from vaejax.data.readers import file_table, folder, headers, kind, listing
from vaejax.data.settings import Settings
from vaejax.errors import UserError


def pixels(*shape, seed=0, dtype=np.uint8):
  return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max + 1, shape, dtype)


def save(path, image=None, **options):
  """Writes a picture. One that replaces another has a later time, however coarse the disk's are."""
  path.parent.mkdir(parents=True, exist_ok=True)
  before = path.stat().st_mtime if path.exists() else None
  Image.fromarray(pixels(8, 8, 3) if image is None else image).save(path, **options)
  if before is not None:
    os.utime(path, (before + 10, before + 10))


@pytest.fixture
def root(tmp_path):
  return tmp_path / 'my pictures é'


@pytest.fixture
def animals(root):
  """12 pictures in two class folders: {name: image}."""
  images = {f'{"cat" if i % 3 else "dog"}/{i:02}.png': pixels(8, 6, 3, seed=i) for i in range(12)}
  for name, image in images.items():
    save(root / name, image)
  return images


def table(root, split='train', **settings):
  return folder.table(str(root), split, Settings(**settings))


def same(rows, images):
  """Whether a table has the images of its names, read at once and row by row."""
  names = rows.names()
  want = np.stack([images[name] for name in names])
  assert np.array_equal(rows.load()['image'], want)
  index = np.asarray([rows.size - 1, 0])
  assert np.array_equal(rows.fetch(index)['image'], want[index])
  return names


def test_class_folders(root, animals):
  assert folder.splits(str(root), Settings()) == ('train', 'test')
  train, test = table(root), table(root, 'test')
  names = same(train, animals) + same(test, animals)
  assert sorted(names) == sorted(animals)
  assert train.classes == 2 and train.class_names == ('cat', 'dog')
  labels = {train.class_names[i] for i in train.load()['label'][:1]}
  assert labels == {names[0].split('/')[0]}
  assert train.load()['label'].dtype == np.int32
  assert (train.levels, train.units) == (256, None)
  assert train.origin == 'my pictures é train'
  assert table(root, label='none').classes is None and 'label' not in table(root, label='none').row


def test_the_order_and_the_hidden(root, animals):
  for name in ('.hidden.png', '.git/1.png', '__MACOSX/1.png', 'Thumbs.db', '.DS_Store'):
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_bytes(b'x')
  for name in ('notes.txt', 'a.heic', 'b.heic'):
    (root / name).write_bytes(b'x')
  train = table(root)
  assert train.size + table(root, 'test').size == 12
  assert train.names() == sorted(train.names())
  assert train.notes[0] == '3 files that are no pictures: 2 .heic, 1 .txt; not read'


def test_splits_of_folders(root):
  for split, count in (('train', 5), ('val', 3), ('test', 2)):
    for i in range(count):
      save(root / split / f'{i}.JPG', pixels(8, 8, 3))
  assert folder.splits(str(root), Settings()) == ('train', 'validation', 'test')
  assert [table(root, split).size for split in ('train', 'validation', 'test')] == [5, 3, 2]
  with pytest.raises(UserError, match=r'has no split .x.. Choose train or validation or test'):
    table(root, 'x')


def test_labels_and_factors_of_a_table_of_text(root, animals):
  lines = [f'{name[:-4]},{"odd" if i % 2 else "even"},{i % 3}' for i, name in enumerate(animals)]
  (root / 'labels.csv').write_text('file,label,third\n' + '\n'.join(lines[:-1]))
  train = table(root)
  assert train.class_names == ('even', 'odd') and dict(train.factors) == {'third': 3}
  rows = train.fetch(np.arange(train.size))
  order = list(animals)
  for name, label, factors in zip(train.names(), rows['label'], rows['factors'], strict=True):
    i = order.index(name)
    known = i < 11
    assert label == (i % 2 if known else -1) and factors.tolist() == [i % 3 if known else -1]
  assert train.notes[0] == 'labels.csv: 1 of 12 pictures has no row'
  third = table(root, label='third')
  assert third.class_names == ('0', '1', '2') and dict(third.factors) == {'label': 2}
  with pytest.raises(UserError, match=r'data.label=breed is not a column.*columns label, third'):
    table(root, label='breed')


def test_black_and_white_has_2_levels(root):
  images = {f'{i}.png': pixels(6, 6, seed=i) > 127 for i in range(4)}
  for name, image in images.items():
    save(root / name, image)
  want = {name: image[..., None] * np.uint8(255) for name, image in images.items()}
  assert same(table(root), {n: x for n, x in want.items() if n in table(root).names()})
  assert table(root).levels == 2 and table(root).row['image'].dtype == np.uint8
  assert table(root, channels=3).levels == 2 and table(root, size=3).levels == 256
  save(root / 'grey.png', pixels(6, 6))
  assert table(root).levels == 256


def test_sizes_that_differ_are_listed(root):
  for i, (h, w) in enumerate([(8, 6), (8, 6), (8, 6), (6, 8), (6, 8), (40, 30), (3, 3)]):
    save(root / f'{i}.png', pixels(h, w, 3))
  message = (
    'have 4 sizes, as width x height: 3 of 6x8, 2 of 8x6, 1 of 30x40; from 3x3 to 30x40. Set '
    'data.size to one side for all'
  )
  with pytest.raises(UserError, match=message):
    table(root)
  for fit in ('resize', 'pad', 'crop'):
    rows = table(root, size=8, fit=fit)
    assert rows.load()['image'].shape == (rows.size, 8, 8, 3)
  with pytest.raises(UserError, match='too large for a model'):
    save(root / 'big' / 'x.png', np.zeros((1100, 1000), np.uint8))
    table(root / 'big')


def test_the_size_of_a_turned_picture_is_as_it_is_seen(root):
  exif = Image.Exif()
  exif[0x0112] = 6
  save(root / '1.jpg', pixels(16, 8, 3), exif=exif)
  save(root / '2.jpg', pixels(8, 16, 3))
  assert table(root).row['image'].shape == (8, 16, 3)


@pytest.mark.parametrize('channels', [None, 1, 3, 4])
def test_grey_among_colours(root, channels):
  save(root / '1.png', pixels(8, 8))
  save(root / '2.png', pixels(8, 8, 3))
  save(root / '3.png', pixels(8, 8, 4))
  assert table(root, channels=channels).row['image'].shape == (8, 8, channels or 3)
  os.remove(root / '2.png')
  os.remove(root / '3.png')
  assert table(root, channels=channels).row['image'].shape == (8, 8, channels or 1)


def test_the_background(root):
  save(root / '1.png', np.zeros((4, 4, 4), np.uint8))
  for background, want in (('white', (255,) * 3), ('black', (0,) * 3), ('30,60,90', (30, 60, 90))):
    assert (table(root, background=background).load()['image'] == want).all()
  for background in ('green', '1,2', '1,2,300', ''):
    with pytest.raises(UserError, match=r'data.background=.*is not a colour'):
      table(root, background=background)


def test_a_padded_picture_is_on_the_background(root):
  x = np.full((2, 4, 4), 100, np.uint8)
  x[..., 3] = 255
  save(root / '1.png', x)
  read = lambda **fields: table(root, size=4, fit='pad', **fields)
  for background, want in (('auto', 0), ('black', 0), ('white', 255), ('7,7,7', 7)):
    rows = read(background=background).load()['image'][0]
    assert (rows[1:3] == 100).all() and (rows[[0, 3]] == want).all()
    kept = read(background=background, channels=4).load()['image'][0]
    assert not kept[[0, 3]].any() and (kept[1:3] == x).all()
  # What identifies rows, and their cache, is as it was before pads had colours.
  decoder = lambda **fields: folder.make_decoder(
    folder.read(str(root), s := Settings(**fields)), s
  )[0]
  plain = [3, 'uint8', 4, 'pad', (255, 255, 255), (4, 4, 3)]
  assert decoder(size=4, fit='pad').identity == plain
  assert decoder(size=4, fit='pad', background='7,7,7').identity == [
    *plain[:4], (7, 7, 7), (4, 4, 3), '7,7,7'
  ]  # fmt: skip


def test_16_bits_in_their_own_units(root):
  images = {f'{i}.png': pixels(6, 6, dtype=np.uint16, seed=i) for i in range(9)}
  for name, image in images.items():
    save(root / name, image)
  train, test = table(root), table(root, 'test')
  same(train, {name: image[..., None] for name, image in images.items()})
  assert train.levels == 65536 and train.units == test.units
  inside = np.asarray(train.units.forward(train.load()['image']))
  assert abs(inside.mean()) < 1e-3 and abs(inside.std() - 1) < 1e-3
  with pytest.raises(UserError, match=r'data.channels=3 does not apply to 16-bit grey'):
    table(root, channels=3)
  assert table(root, size=3).load()['image'].dtype == np.uint16
  save(root / 'z.png', pixels(6, 6))
  with pytest.raises(UserError, match=r'z\.png is 8-bit grey, but most pictures here are 16-bit'):
    table(root)


def test_16_bits_with_alpha(root):
  root.mkdir()
  images = {}
  for i in range(4):
    data, images[f'{i}.png'] = png(5, 6, 6, 4, seed=i)
    (root / f'{i}.png').write_bytes(data)
  train = table(root)
  assert train.row['image'].shape == (5, 6, 3) and train.levels == 65536
  kept = table(root, channels=4)
  same(kept, images)
  inside = np.asarray(kept.units.forward(kept.load()['image']))
  assert abs(inside.mean()) < 1e-3
  with pytest.raises(
    UserError, match=r'16-bit colour, which has 3. Set data.channels=0, or 4 to k'
  ):
    table(root, channels=1)


def test_real_numbers(root):
  images = {
    f'{i}.tif': np.random.default_rng(i).gamma(1, 9, (6, 6)).astype(np.float32) for i in range(5)
  }
  for name, image in images.items():
    save(root / name, image)
  train = table(root, transform='log')
  same(train, {name: image[..., None] for name, image in images.items()})
  assert train.levels == 0 and train.units.transform == 'log'
  save(root / '0.tif', -images['0.tif'])
  with pytest.raises(UserError, match=r'needs positive numbers.*asinh'):
    table(root, transform='log')


def test_a_damaged_file_is_named_or_skipped(root, animals):
  (root / 'cat' / '98.png').write_text('hello')
  data = (root / 'cat' / '01.png').read_bytes()
  (root / 'cat' / '99.png').write_bytes(data[: len(data) // 2])  # its header can be read
  with pytest.raises(UserError, match=r'cat/98\.png cannot be read.*data\.skip_damaged=True'):
    table(root)
  os.remove(root / 'cat' / '98.png')
  with pytest.raises(UserError, match=r'cat/99\.png cannot be read.*truncated'):
    (table(root).load(), table(root, 'test').load())
  (root / 'cat' / '98.png').write_text('hello')
  parts = [table(root, split, skip_damaged=True) for split in ('train', 'test')]
  assert sorted(same(parts[0], animals) + same(parts[1], animals)) == sorted(animals)
  assert '2 damaged files are skipped, such as cat/98.png' in parts[0].notes
  # A file that is mended is read again, and the others are not.
  save(root / 'cat' / '98.png', animals['cat/01.png'])
  parts = [table(root, split, skip_damaged=True) for split in ('train', 'test')]
  assert sum(rows.size for rows in parts) == 13
  for name in (*animals, 'cat/98.png'):
    (root / name).write_text('hello')
  with pytest.raises(UserError, match=r'all pictures of train in .* are damaged'):
    table(root, skip_damaged=True)


def test_real_numbers_that_are_not_finite_are_damage(root):
  images = {f'{i}.tif': np.full((4, 5, 1), i, np.float32) for i in range(6)}
  for name, image in images.items():
    save(root / name, image[..., 0])
  save(root / 'nan.tif', np.full((4, 5), np.nan, np.float32))
  with pytest.raises(UserError, match=r'nan\.tif has values that are not finite'):
    (table(root).load(), table(root, 'test').load())
  parts = [table(root, split, skip_damaged=True) for split in ('train', 'test')]
  assert sorted(same(parts[0], images) + same(parts[1], images)) == sorted(images)
  assert '1 damaged file is skipped, such as nan.tif' in parts[0].notes


def test_many_damaged_files_are_counted(root):
  for i in range(3):
    save(root / f'{i}.png')
    (root / f'bad{i}.png').write_bytes(b'')
  with pytest.raises(
    UserError, match=r'bad0\.png cannot be read: it is empty.*\(at least 3 files are so\)'
  ):
    table(root)


def test_a_deep_colour_is_refused_even_if_damage_is_skipped(root):
  save(root / '1.png')
  (root / '2.ppm').write_bytes(b'P6 2 2 65535\n' + b'\1\2' * 12)
  for skip in (False, True):
    with pytest.raises(UserError, match=r'2\.ppm has 16 bits a channel'):
      table(root, skip_damaged=skip)


def test_nothing_to_read(root, tmp_path):
  root.mkdir()
  with pytest.raises(UserError, match=r'has no pictures.*Give a folder of pictures'):
    table(root)
  (root / 'a' / 'b').mkdir(parents=True)
  (root / 'a' / 'x.heic').write_bytes(b'x')
  with pytest.raises(
    UserError, match=r'has no pictures.*it has 1 file that is no picture: 1 \.heic'
  ):
    folder.splits(str(root), Settings())
  save(tmp_path / 'x.png')
  with pytest.raises(UserError, match=r'x\.png is not a folder'):
    table(tmp_path / 'x.png')


def test_one_picture(root):
  image = pixels(8, 8, 3)
  save(root / '1.png', image)
  train, test = table(root), table(root, 'test')
  assert same(train, {'1.png': image}) == same(test, {'1.png': image})
  assert 'one picture is both train and test' in train.notes
  save(root / '2.png', image)
  assert table(root).notes == ('test is 1 of 2 pictures, by their names',)


def test_links(root, tmp_path):
  image = pixels(8, 8, 3)
  save(tmp_path / 'elsewhere' / '2.png', image)
  save(root / 'b' / '1.png', image)
  os.symlink(tmp_path / 'elsewhere', root / 'linked')
  os.symlink(root, root / 'b' / 'loop')
  os.symlink(tmp_path / 'elsewhere' / '2.png', root / 'b' / '3.png')
  os.symlink(tmp_path / 'nowhere', root / 'b' / '4.png')
  names = table(root).names() + table(root, 'test').names()
  assert sorted(names) == ['b/1.png', 'b/3.png', 'linked/2.png']
  assert '1 file that is no picture: 1 broken link; not read' in table(root).notes


def test_what_may_not_be_read(root, animals, monkeypatch):
  # Tests may run as root, who may read everything.
  real = os.scandir

  def refuse(path):
    if str(path).rstrip('/').endswith('cat'):
      raise PermissionError(13, 'Permission denied')
    return real(path)

  monkeypatch.setattr(os, 'scandir', refuse)
  with pytest.raises(UserError, match='cat/ cannot be read: Permission denied'):
    table(root)


def test_rows_can_be_sent_to_other_processes(root, animals):
  train = pickle.loads(pickle.dumps(table(root)))
  same(train, animals)


def test_content_stays_when_the_folder_moves(root, animals, monkeypatch):
  before = table(root).content()
  assert set(before) == {'image', 'label'}
  os.rename(root, root.with_name('moved'))
  assert table(root.with_name('moved')).content() == before
  # Also that of a large folder, of which it has some files.
  monkeypatch.setattr('vaejax.data.readers.file_table.EXACT_BYTES', 0)
  before = table(root.with_name('moved')).content()
  os.rename(root.with_name('moved'), root)
  assert table(root).content() == before
  names = table(root).names()
  save(root / names[0], pixels(8, 6, 3, seed=99))
  after = table(root).content()
  assert after['image'] != before['image'] and after['label'] == before['label']


def test_a_long_start_is_logged(root, animals, monkeypatch, capsys):
  monkeypatch.setattr('vaejax.data.readers.file_table.LOG_SECONDS', -1)
  blocks = [{'image': np.zeros(n)} for n in (600, 600, 300)]
  assert list(file_table.logged(blocks, 1500)) == blocks
  lines = capsys.readouterr().err.splitlines()
  assert lines == [
    f'vaejax: decoded {n} of 1,500 pictures into the cache' for n in ('600', '1,200')
  ]


def test_a_changed_picture_is_decoded_again(root, animals):
  before = table(root)
  before.load()
  name = before.names()[0]
  changed = animals | {name: 255 - animals[name]}
  save(root / name, changed[name])
  same(table(root), changed)


def test_the_listing_of_a_large_folder_is_cached(root, animals, monkeypatch):
  monkeypatch.setattr(listing, 'ALWAYS_LISTED', 4)
  monkeypatch.setattr(listing, 'CHECKED', 11)
  for place in (root, root / 'cat', root / 'dog'):  # long ago
    os.utime(place, (0, 0))
  walk, walks = listing.walk, []
  monkeypatch.setattr(listing, 'walk', lambda *of: walks.append(of) or walk(*of))
  first = listing.scan(str(root))
  second = listing.scan(str(root))
  assert len(walks) == 1 and second.names == first.names
  assert np.array_equal(second.fractions, first.fractions) and second.other == first.other
  save(root / 'cat' / 'new.png')
  assert len(listing.scan(str(root)).names) == 13 and len(walks) == 2
  for name in animals:  # in place
    (root / name).write_bytes((root / name).read_bytes() + b'x')
  assert listing.scan(str(root)).sizes.sum() > first.sizes.sum() + 12
  stored = next((root.parent / 'cache' / 'vaejax' / 'listings').iterdir())
  stored.write_bytes(stored.read_bytes()[:-200])
  assert len(listing.scan(str(root)).names) == 13


def test_headers_of_some_files_suffice_for_a_large_folder(root, animals, monkeypatch):
  monkeypatch.setattr(headers, 'ALL', 5)
  about = headers.read(listing.scan(str(root)))
  assert np.sum(about.kind == headers.UNREAD) == 7
  unread = listing.scan(str(root)).names[int(np.argmin(about.kind))]
  save(root / unread, pixels(9, 9, 3))
  with pytest.raises(UserError, match=rf'{unread} is 9x9, but others are 6x8. Set data.size'):
    (table(root).load(), table(root, 'test').load())
  save(root / unread, pixels(8, 6, dtype=np.uint16))
  with pytest.raises(UserError, match=rf'{unread} has pixels of uint16'):
    (table(root).load(), table(root, 'test').load())


def test_headers_are_read_once(root, animals, monkeypatch):
  files = listing.scan(str(root))
  first = headers.read(files)
  read, paths = headers.pictures.header, []
  monkeypatch.setattr(headers.pictures, 'header', lambda path: paths.append(path) or read(path))
  assert all(map(np.array_equal, headers.read(files), first))
  assert not paths
  save(root / 'cat' / 'new.png', pixels(5, 5, 3))
  again = headers.read(listing.scan(str(root)))
  assert paths == [str(root / 'cat' / 'new.png')]
  assert again.height[again.height != 8].tolist() == [5]


def test_a_path_is_a_folder_whatever_its_name(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('HOME', str(tmp_path))
  for place in ('pets', 'mnist', 'a/digits'):
    save(tmp_path / place / '1.png')
  for name in ('pets', './pets', '~/pets', 'a/digits', './mnist', str(tmp_path / 'mnist')):
    assert kind(name, Settings()) == 'folder', name
    assert sets.find(name) is None and sets.reader(name) is None
    config = load_config(f'configs/vae.py:{name}') if os.path.exists('configs') else None
    assert config is None or config.data.name == name
  assert sets.title('a/digits') == 'digits'
  assert kind('mnist', Settings()) == 'tfds'
  assert sets.reader('digits') is sets.find('digits') is not None
  np.savez(tmp_path / 'mnist' / 'embeddings.npz', x=np.zeros(1))
  assert kind('./mnist', Settings()) == 'folder'
  np.savez(tmp_path / 'mnist' / 'more.npz', x=np.zeros(1))
  assert kind('./mnist', Settings()) == 'files'


@pytest.mark.parametrize('mode', ['resident', 'stream'])
def test_batches_of_a_folder(root, animals, mode):
  import jax

  config = load_config('configs/vae.py')
  config.data.name, config.data.mode = str(root), mode
  tables = splits.tables(config.data, None)
  assert tables.validation is None
  source = sources.train(config.data, tables.train, 4, 0)
  buffer, _ = next(iter(source.buffers(0, 2)))
  batch = source.draw(buffer, jax.random.key(0), np.int32(0))
  known = {image.tobytes(): name for name, image in animals.items()}
  for image, label in zip(np.asarray(batch['image']), np.asarray(batch['label']), strict=True):
    name = known[np.rint(image * 255).astype(np.uint8).tobytes()]
    assert tables.train.class_names[label] == name.split('/')[0]


def test_files_have_no_fields(root, animals):
  with pytest.raises(UserError, match=r"data.field='image' names an array .* has files"):
    table(root, field='image')
