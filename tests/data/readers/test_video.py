"""Videos in files: every kind gives the frames that were put in, cut into windows."""

import pickle
import sys

import numpy as np
import pytest
from PIL import Image

from vaejax.config.base import base
from vaejax.data.splits import tables
from vaejax.data.table import content
from vaejax.errors import UserError

RANDOM = np.random.default_rng(0)


def clip(length, shape=(6, 7, 3)):
  return RANDOM.integers(0, 256, (length, *shape), np.uint8)


def read(path, **fields):
  data = base('rvae', {}).data
  data.update({'name': str(path), 'frames': 4, 'stride': 0} | fields)
  return tables(data, None)


def image(x):
  return Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x)


def frames(path, x):
  """A folder of numbered pictures, 0.png to 11.png."""
  path.mkdir(parents=True)
  for i, frame in enumerate(x):
    image(frame).save(path / f'{i}.png')
  return path.name


def webp(path, x):
  path.parent.mkdir(parents=True, exist_ok=True)
  first, *rest = map(image, x)
  first.save(path.with_suffix('.webp'), save_all=True, append_images=rest, lossless=True)
  return f'{path.name}.webp'


def gif(path, x):
  """Exact for grey frames."""
  path.parent.mkdir(parents=True, exist_ok=True)
  first, *rest = map(image, x)
  first.save(path.with_suffix('.gif'), save_all=True, append_images=rest)
  return f'{path.name}.gif'


def check(table, videos):
  rows, index = table.load()['video'], RANDOM.permutation(table.size)
  np.testing.assert_array_equal(rows, videos)
  np.testing.assert_array_equal(table.fetch(index)['video'], rows[index])
  assert table.row['video'].shape == rows.shape[1:] and rows.dtype == np.uint8


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('writer', [frames, webp, gif])
def test_windows_of_clips(tmp_path, writer, channels):
  if writer is gif and channels == 3:
    pytest.skip('a GIF has 256 colours')
  clips = [clip(n, (6, 7, channels)) for n in (12, 3, 4, 9)]
  for split in ('train', 'test'):
    for i, x in enumerate(clips):
      name = writer(tmp_path / split / f'c{i}', x)
  splits = read(tmp_path)
  check(splits.train, [x[:4] for x in clips if len(x) >= 4])
  assert any('1 of 4 videos is shorter than 4 frames' in note for note in splits.train.notes)
  table = read(tmp_path, stride=3).test
  check(table, [x[s : s + 4] for x in clips for s in range(0, len(x) - 3, 3)])
  names = [f'test/c{i}{name[2:]}' for i, x in enumerate(clips) for _ in range(0, len(x) - 3, 3)]
  assert table.names() == names
  again = pickle.loads(pickle.dumps(table.fetch))  # for workers
  np.testing.assert_array_equal(again(np.arange(3))['video'], table.load()['video'][:3])


def test_class_folders_are_labels(tmp_path):
  for i, kind in enumerate(('cat', 'dog', 'cat', 'dog')):
    frames(tmp_path / 'train' / kind / f'{i}', clip(5))
    webp(tmp_path / 'test' / kind / f'{i}', clip(6))
  splits = read(tmp_path, stride=1)
  assert splits.train.class_names == ('cat', 'dog')
  assert splits.train.load()['label'].tolist() == [0] * 4 + [1] * 4
  assert splits.test.load()['label'].tolist() == [0] * 6 + [1] * 6


def test_the_split_depends_on_names_and_keeps_clips_together(tmp_path):
  for i in range(30):
    frames(tmp_path / f'c{i}', clip(8))
  before = read(tmp_path, stride=1)
  test = set(before.test.names())
  assert 1 <= len(test) < 15 and not test & set(before.train.names())
  assert (before.train.size + before.test.size) == 30 * 5
  for i in range(30, 40):
    frames(tmp_path / f'c{i}', clip(8))
  after = set(read(tmp_path, stride=1).test.names())
  assert {name for name in after if int(name[1:]) < 30} == test


def test_folders_that_are_read_as_videos_are_counted(tmp_path):
  for name in ('cat', 'dog', 'owl'):
    frames(tmp_path / name, clip(5))
  line = '3 folders are read as 3 videos with their pictures as frames'
  assert line in read(tmp_path).train.notes
  with pytest.raises(UserError, match=rf'has 5 frames; {line}. Give at most 5'):
    read(tmp_path, frames=12)
  webp(tmp_path / 'films' / 'a', clip(5))
  assert line in read(tmp_path).train.notes
  webp(tmp_path / 'only films' / 'a', clip(5))
  assert not any('folder' in note for note in read(tmp_path / 'only films').train.notes)
  frames(tmp_path / 'one' / 'a', clip(5))
  line = '1 folder is read as 1 video with its pictures as frames'
  assert line in read(tmp_path / 'one').train.notes


def test_frames_directly_in_the_folders_of_splits(tmp_path):
  train, test = clip(12), clip(5)
  frames(tmp_path / 'train', train)
  frames(tmp_path / 'test', test)
  splits = read(tmp_path, stride=4)
  check(splits.train, [train[:4], train[4:8], train[8:]])
  check(splits.test, [test[:4]])


def test_one_video(tmp_path):
  x = clip(9)
  webp(tmp_path / 'c', x)
  for path in (tmp_path, tmp_path / 'c.webp'):
    splits = read(path, stride=4)
    check(splits.train, [x[:4], x[4:8]])
    check(splits.test, [x[:4], x[4:8]])
    assert 'one video is both train and test' in splits.train.notes


def test_transparent_frames_are_put_on_the_background(tmp_path):
  x = clip(4, (6, 7, 4))
  x[..., 3] = np.where(x[..., 3] > 127, 255, 0)
  webp(tmp_path / 'c', x)
  rows = read(tmp_path, background='10,20,30').train.load()['video'][0]
  np.testing.assert_array_equal(rows, np.where(x[..., 3:] > 0, x[..., :3], np.uint8([10, 20, 30])))


def test_padded_frames_are_on_the_background(tmp_path):
  frames(tmp_path / 'c', np.full((4, 6, 8, 3), 100, np.uint8))
  for background, want in (('auto', 0), ('10,20,30', (10, 20, 30))):
    rows = read(tmp_path, size=8, fit='pad', background=background).train.load()['video'][0]
    assert (rows[:, 1:7] == 100).all() and (rows[:, [0, 7]] == want).all()


def test_clips_of_any_size_need_a_size(tmp_path):
  frames(tmp_path / 'a', clip(5))
  frames(tmp_path / 'b', clip(5, (9, 8, 1)))
  with pytest.raises(UserError, match=r'have 2 sizes, from 7x6 to 8x9. Set data.size'):
    read(tmp_path)
  splits = read(tmp_path, size=4)
  assert splits.train.row['video'].shape == splits.test.row['video'].shape == (4, 4, 4, 3)
  frames(tmp_path / 'c', clip(3, (7, 6, 3)))
  image(clip(1)[0]).save(tmp_path / 'c' / '7.png')
  assert read(tmp_path, size=4).train.load()['video'].shape[1:] == (4, 4, 4, 3)


def test_a_frame_of_another_size_is_named(tmp_path):
  for name in 'ab':
    frames(tmp_path / name, clip(4))
    image(clip(1, (3, 3, 3))[0]).save(tmp_path / name / '2.png')
  with pytest.raises(UserError, match=r'a frame of .*/[ab] is 3x3, but others are 7x6'):
    read(tmp_path).train.load()


@pytest.mark.parametrize('writer', [frames, webp])
def test_damaged_clips(tmp_path, writer):
  good = [clip(5), clip(5)]
  for i, x in enumerate((*good, clip(5))):
    name = writer(tmp_path / f'c{i}', x)
  path = tmp_path / name / '3.png' if writer is frames else tmp_path / name
  path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
  with pytest.raises(UserError, match=r'cannot be read.*data.skip_damaged=True') as error:
    splits = read(tmp_path)
    [split.load() for split in (splits.train, splits.test)]
  assert str(path) in str(error.value)
  splits = read(tmp_path, skip_damaged=True)
  assert splits.train.size + splits.test.size == 2
  assert any('1 damaged video is skipped, such as c2' in note for note in splits.train.notes)


def test_all_are_too_short(tmp_path):
  for i in range(3):
    frames(tmp_path / f'c{i}', clip(3 + i))
  with pytest.raises(UserError, match=r'frames=12 is too long: the longest .* has 5 frames'):
    read(tmp_path, frames=12)


def test_content_stays_when_a_folder_moves(tmp_path):
  for i in range(3):
    frames(tmp_path / 'a' / f'c{i}', clip(5))
  before = content(read(tmp_path / 'a').train)
  (tmp_path / 'a').rename(tmp_path / 'b')
  assert content(read(tmp_path / 'b').train) == before
  assert content(read(tmp_path / 'b', stride=1).train) != before


def test_probes_are_read_again_if_a_clip_changes(tmp_path):
  webp(tmp_path / 'a', clip(5))
  assert read(tmp_path, stride=1).train.size == 2
  webp(tmp_path / 'a', clip(9))
  assert read(tmp_path, stride=1).train.size == 6


def test_other_data_is_refused(tmp_path):
  (tmp_path / 'notes.txt').write_text('x')
  with pytest.raises(UserError, match=r'has no videos; it has 1 file that is no picture: 1 .txt'):
    read(tmp_path)
  deep = tmp_path / 'deep'
  deep.mkdir()
  for i in range(4):
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(deep / f'{i}.png')
  with pytest.raises(UserError, match=r'0.png is 16-bit grey, which is not read as a frame'):
    read(deep)


def movie(path, x, codec='ffv1'):
  """A lossless video file."""
  import av

  with av.open(str(path), 'w') as container:
    stream = container.add_stream(codec, rate=10)
    stream.height, stream.width, stream.pix_fmt = *x.shape[1:3], 'bgr0'
    for frame in x:
      for packet in stream.encode(av.VideoFrame.from_ndarray(frame, format='rgb24')):
        container.mux(packet)
    for packet in stream.encode():
      container.mux(packet)


def test_video_files(tmp_path):
  clips = [clip(n, (16, 18, 3)) for n in (12, 3, 9)]
  for split in ('train', 'test'):
    (tmp_path / split).mkdir()
    for i, x in enumerate(clips):
      movie(tmp_path / split / f'{i}.mkv', x)
  splits = read(tmp_path, stride=3)
  check(splits.train, [x[s : s + 4] for x in clips for s in range(0, len(x) - 3, 3)])
  grey = read(tmp_path, channels=1).train
  assert grey.load()['video'].shape == (2, 4, 16, 18, 1)


def test_a_damaged_video_file_is_named(tmp_path):
  (tmp_path / 'a.mp4').write_bytes(b'no video')
  with pytest.raises(UserError, match=r'a.mp4 cannot be read.*data.skip_damaged=True'):
    read(tmp_path)


def test_av_is_an_extra(tmp_path, monkeypatch):
  (tmp_path / 'a.mp4').write_bytes(b'')
  monkeypatch.setitem(sys.modules, 'av', None)
  with pytest.raises(UserError, match=r"not installed. Run pip install 'vaejax\[video\]'"):
    read(tmp_path)


def test_a_config_of_images_refuses_a_video_file(tmp_path):
  movie(tmp_path / 'a.mkv', clip(5, (16, 18, 3)))
  data = base('vae', {}).data
  data.update({'name': str(tmp_path / 'a.mkv')})
  with pytest.raises(UserError, match=r'Use a config of videos, such as configs/rvae.py'):
    tables(data, None)


def test_windows_of_a_clip_are_one_group(tmp_path):
  for i in range(5):
    frames(tmp_path / f'{i}', clip(6))
  table = read(tmp_path, frames=2, stride=1).train
  assert np.bincount(table.groups()).tolist() == [5] * 4


def test_labels_and_content_of_a_folder_of_videos_that_is_sampled(tmp_path, monkeypatch):
  for i in range(4):
    frames(tmp_path / f'c{i}', clip(5 + i))
  lines = '\n'.join(f'c{i},{"xy"[i % 2]},{i % 3}' for i in range(3))
  (tmp_path / 'labels.csv').write_text(f'file,label,third\n{lines}\n')
  monkeypatch.setattr('vaejax.data.readers.file_table.EXACT_BYTES', 0)
  table = read(tmp_path, stride=1).train
  index = [int(name[1:]) for name in table.names()]
  rows = table.fetch(np.arange(table.size))
  assert rows['label'].tolist() == [-1 if i == 3 else i % 2 for i in index]
  assert rows['factors'][:, 0].tolist() == [-1 if i == 3 else i % 3 for i in index]
  assert table.labels().tolist() == rows['label'].tolist()
  assert 'labels.csv: 1 of 4 videos has no row' in table.notes
  before = table.content()
  assert set(before) == {'video', 'label', 'factors'}
  path = tmp_path / f'c{index[0]}' / '0.png'
  image(clip(1)[0]).save(path)
  after = read(tmp_path, stride=1).train.content()
  assert after['video'] != before['video'] and after['label'] == before['label']
