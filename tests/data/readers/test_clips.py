"""Videos of TFDS sets: every way that one is stored, cut and fitted, against the arrays put in."""

import numpy as np
import pytest

from vaejax.data.fit import fit_image
from vaejax.data.readers import clips, tfds
from vaejax.data.settings import Settings
from vaejax.errors import UserError


def videos(n, *shape, seed=0):
  return np.random.default_rng(seed).integers(0, 256, (n, *shape), np.uint8)


def features():
  import tensorflow_datasets

  return tensorflow_datasets.features


def video(**settings):
  with clips.without_tensorflow():
    return features().Video(**settings)


def pictures(video):
  """Frames uint8 [T, h, w, C] as TFDS takes them without TensorFlow."""
  from PIL import Image

  return [Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x) for x in video]


def make(root, prepare, field, feature, values, labels=True):
  extra = {'label': features().ClassLabel(num_classes=3)} if labels else {}
  rows = [{field: x} | ({'label': i % 3} if labels else {}) for i, x in enumerate(values)]
  with clips.without_tensorflow():
    prepare(root, {'train': rows, 'test': rows[:2]}, {field: feature} | extra)


def same(table, values):
  """The table's rows are those values, in any order: TFDS shuffles what it writes."""
  found = table.load()['video']
  assert found.dtype == np.uint8 and found.shape == np.shape(values)
  assert {x.tobytes() for x in found} == {x.tobytes() for x in values}
  np.testing.assert_array_equal(table.fetch(np.array([1, 0]))['video'], found[[1, 0]])
  return found


def kinds():
  """Every feature that is a video of 5 frames of 6x7x3, and how its value is made of one."""
  f = features()
  image = f.Image(shape=(6, 7, 3))
  return {
    'video': (video(shape=(5, 6, 7, 3)), pictures),
    'any length': (video(shape=(None, 6, 7, 3)), pictures),
    'sequence': (f.Sequence(image), pictures),
    'sequence of fields': (
      f.Sequence({'image': image, 'action': np.float32}, length=5),
      lambda x: [{'image': frame, 'action': 0.5} for frame in pictures(x)],
    ),
    'tensor': (f.Tensor(shape=(5, 6, 7, 3), dtype=np.uint8), lambda x: x),
    'bytes': (f.Tensor(shape=(5, 6, 7, 3), dtype=np.uint8, encoding='bytes'), lambda x: x),
    'zipped': (f.Tensor(shape=(5, 6, 7, 3), dtype=np.uint8, encoding='zlib'), lambda x: x),
  }


KINDS = (
  'video',
  'any length',
  'sequence',
  'sequence of fields',
  'tensor',
  'bytes',
  'zipped',
)


@pytest.mark.parametrize('kind', KINDS)
def test_the_first_frames_of_every_video(tmp_path, prepare, kind):
  feature, value = kinds()[kind]
  want = videos(4, 5, 6, 7, 3)
  make(tmp_path, prepare, 'clip', feature, [value(x) for x in want])
  for frames in (5, 3):
    table = tfds.table('tiny', 'train', Settings(frames=frames), str(tmp_path))
    assert table.classes == 3 and table.row['video'].shape == (frames, 6, 7, 3)
    found = same(table, want[:, :frames])
    # A label is that of its video.
    order = [next(i for i, x in enumerate(want) if (x[:frames] == y).all()) for y in found]
    assert table.load()['label'].tolist() == [i % 3 for i in order]


def test_every_frame_is_fitted(tmp_path, prepare):
  want = videos(3, 4, 6, 8, 3)
  make(tmp_path, prepare, 'video', video(shape=(4, 6, 8, 3)), map(pictures, want), labels=False)
  for mode in ('resize', 'pad'):
    table = tfds.table('tiny', 'train', Settings(10, 1, mode, frames=4), str(tmp_path))
    assert table.row['video'].shape == (4, 10, 10, 1) and table.classes is None
    same(table, [np.stack([fit_image(frame, 10, 1, mode) for frame in x]) for x in want])


def test_frames_of_any_size_need_a_size(tmp_path, prepare):
  value = [videos(3, h, 5, 3) for h in (4, 6)]
  sequence = features().Sequence(features().Image(shape=(None, None, 3)))
  make(tmp_path, prepare, 'video', sequence, map(pictures, value), labels=False)
  with pytest.raises(UserError, match=r'Set data\.size'):
    tfds.table('tiny', 'train', Settings(frames=3), str(tmp_path))
  table = tfds.table('tiny', 'train', Settings(8, frames=3), str(tmp_path))
  same(table, [np.stack([fit_image(frame, 8) for frame in x]) for x in value])


def test_a_video_that_is_too_short_is_one_clear_line(tmp_path, prepare):
  whole = video(shape=(5, 6, 7, 3))
  make(tmp_path / 'a', prepare, 'video', whole, map(pictures, videos(2, 5, 6, 7, 3)))
  with pytest.raises(UserError, match=r'^data\.frames=6 .* the videos of .* have 5 frames\. Give'):
    tfds.table('tiny', 'train', Settings(frames=6), str(tmp_path / 'a'))
  some = video(shape=(None, 6, 7, 3))
  make(
    tmp_path / 'b',
    prepare,
    'video',
    some,
    map(pictures, [*videos(1, 4, 6, 7, 3), *videos(1, 6, 6, 7, 3)]),
  )
  table = tfds.table('tiny', 'train', Settings(frames=5), str(tmp_path / 'b'))
  assert table.load()['video'].shape == (1, 5, 6, 7, 3)
  with pytest.raises(UserError, match=r'the longest video of .* has 6 frames\. Give at most 6$'):
    tfds.table('tiny', 'train', Settings(frames=7), str(tmp_path / 'b'))


def test_images_and_videos_are_told_apart(tiny, tmp_path, prepare):
  # For the method to refuse.
  assert 'image' in tfds.table(str(tiny), 'train', Settings(frames=3)).row
  make(
    tmp_path / 'v',
    prepare,
    'video',
    video(shape=(5, 6, 7, 3)),
    map(pictures, videos(2, 5, 6, 7, 3)),
  )
  with pytest.raises(UserError, match=r'it has a video and no image. Use a config of videos'):
    tfds.table('tiny', 'train', data_dir=str(tmp_path / 'v'))


def test_of_several_videos_the_one_called_so(tmp_path, prepare):
  clip = lambda: video(shape=(2, 4, 4, 1))
  a, b = videos(2, 2, 4, 4, 1)
  row = {'a': pictures(a), 'video': pictures(b)}
  with clips.without_tensorflow():
    prepare(tmp_path, {'train': [row], 'test': [row]}, {'a': clip(), 'video': clip()})
  table = tfds.table('tiny', 'train', Settings(frames=2), str(tmp_path))
  np.testing.assert_array_equal(table.load()['video'], [b])


@pytest.mark.parametrize('kind', ['video', 'sequence', 'tensor', 'zipped tensor'])
def test_windows_of_videos_of_any_length(tmp_path, prepare, kind):
  f = features()
  feature, put = {
    'video': (video(shape=(None, 6, 7, 3)), pictures),
    'sequence': (f.Sequence(f.Image(shape=(6, 7, 3))), pictures),
    'tensor': (f.Tensor(shape=(None, 6, 7, 3), dtype=np.uint8), lambda x: x),
    'zipped tensor': (
      f.Tensor(shape=(None, 6, 7, 3), dtype=np.uint8, encoding='zlib'),
      lambda x: x,
    ),
  }[kind]
  values = [videos(1, n, 6, 7, 3, seed=n)[0] for n in (12, 3, 9, 6)]
  make(tmp_path, prepare, 'video', feature, [put(x) for x in values])
  first = tfds.table('tiny', 'train', Settings(frames=5), str(tmp_path))
  same(first, [x[:5] for x in values if len(x) >= 5])
  assert any('1 of 4 videos' in note for note in first.notes)
  table = tfds.table('tiny', 'train', Settings(frames=5, stride=3), str(tmp_path))
  same(table, [x[s : s + 5] for x in values for s in range(0, len(x) - 4, 3)])
  again = tfds.table('tiny', 'train', Settings(frames=5, stride=3), str(tmp_path))  # from the cache
  np.testing.assert_array_equal(again.load()['video'], table.load()['video'])


def test_windows_of_videos_of_one_length(tmp_path, prepare):
  values = videos(4, 12, 6, 7, 3)
  make(tmp_path, prepare, 'video', video(shape=(12, 6, 7, 3)), map(pictures, values))
  table = tfds.table('tiny', 'train', Settings(frames=5, stride=7), str(tmp_path))
  same(table, [x[s : s + 5] for x in values for s in (0, 7)])
