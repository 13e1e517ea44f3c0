"""Grids of images, and PNG and GIF files read back."""

import numpy as np
import pytest
from PIL import Image, ImageSequence

from vaejax.reporting import images


def _flat(n, height=4, width=6, channels=1):
  """n images, image i all of the value i / 255."""
  values = np.arange(n, dtype=np.float32).reshape(-1, 1, 1, 1) / 255
  return np.broadcast_to(values, (n, height, width, channels))


def test_images_are_in_rows_left_to_right_with_a_line_between():
  picture = images.grid(_flat(6), columns=3)
  assert picture.shape == (2 * 5 - 1, 3 * 7 - 1, 1)
  assert picture.dtype == np.uint8
  for i in range(6):
    top, left = i // 3 * 5, i % 3 * 7
    assert (picture[top : top + 4, left : left + 6] == i).all()
  line = picture[4, 0, 0]
  assert (picture[4] == line).all()
  assert (picture[:, [6, 13]] == line).all()
  assert line not in range(6)


def test_the_last_row_is_filled_with_the_colour_of_the_line():
  picture = images.grid(_flat(4), columns=3)
  assert picture.shape == (9, 20, 1)
  assert (picture[5:, 6:] == picture[4, 0, 0]).all()


@pytest.mark.parametrize(
  ('n', 'height', 'width', 'columns'), [(64, 8, 8, 8), (1, 8, 8, 1), (5, 8, 8, 3), (4, 8, 32, 1)]
)
def test_the_default_is_nearly_square(n, height, width, columns):
  picture = images.grid(_flat(n, height, width))
  assert picture.shape[1] == columns * (width + 1) - 1


def test_large_images_have_a_line_of_two_pixels():
  assert images.grid(_flat(2, 64, 64, 3), columns=2).shape == (64, 130, 3)


def test_originals_are_above_their_reconstructions():
  originals, reconstructions = _flat(5), _flat(5) + 100 / 255
  picture = images.pairs(originals, reconstructions, columns=3)
  assert picture.shape == (4 * 5 - 1, 3 * 7 - 1, 1)
  for i in range(5):
    top, left = i // 3 * 10, i % 3 * 7
    assert (picture[top : top + 4, left : left + 6] == i).all()
    assert (picture[top + 5 : top + 9, left : left + 6] == 100 + i).all()


def test_few_pairs_leave_no_empty_columns():
  assert images.pairs(_flat(2), _flat(2), columns=8).shape == (9, 13, 1)


def test_values_out_of_range_are_clipped_and_nan_is_grey():
  values = [np.nan, -1, 2, np.inf, -np.inf, 0.5]
  batch = np.array(values, np.float32).reshape(6, 1, 1, 1)
  picture = images.grid(batch, columns=6)
  assert picture[0, ::2, 0].tolist() == [128, 0, 255, 255, 0, 128]


def test_wrong_shapes_raise():
  with pytest.raises(ValueError, match='N, H, W, C'):
    images.grid(np.zeros((8, 8, 1)))
  with pytest.raises(ValueError, match='at least 1'):
    images.grid(np.zeros((0, 8, 8, 1)))
  with pytest.raises(ValueError, match='columns'):
    images.grid(_flat(2), columns=0)
  with pytest.raises(ValueError, match='differ'):
    images.pairs(_flat(2), _flat(3))
  with pytest.raises(ValueError, match='uint8'):
    images.encode_png(np.zeros((4, 4, 2), np.uint8))
  with pytest.raises(ValueError, match='uint8'):
    images.encode_png(np.zeros((4, 4, 1)))


@pytest.mark.parametrize('channels', [1, 3])
def test_a_png_has_each_pixel_as_a_square(tmp_path, channels):
  image = np.random.default_rng(0).integers(0, 256, (3, 5, channels), np.uint8)
  images.write_png(tmp_path / 'a.png', image, scale=4)
  read = np.asarray(Image.open(tmp_path / 'a.png')).reshape(12, 20, channels)
  for row in range(4):
    for column in range(4):
      np.testing.assert_array_equal(read[row::4, column::4], image)


def test_small_pictures_are_enlarged_and_large_ones_are_not(tmp_path):
  images.write_png(tmp_path / 'a.png', images.grid(_flat(64, 8, 8)))
  assert 450 <= Image.open(tmp_path / 'a.png').width <= 512
  images.write_png(tmp_path / 'a.png', np.zeros((300, 700, 3), np.uint8))
  assert Image.open(tmp_path / 'a.png').size == (700, 300)


def _read_gif(path):
  with Image.open(path) as file:
    frames = [np.asarray(frame.convert('RGB')) for frame in ImageSequence.Iterator(file)]
    return np.stack(frames), file.info


@pytest.mark.parametrize('channels', [1, 3])
def test_a_gif_has_every_frame_and_repeats(tmp_path, channels):
  # Few colours: a GIF has 256 of them.
  frames = np.random.default_rng(0).choice([0, 80, 255], (5, 6, 7, channels)).astype(np.uint8)
  images.write_gif(tmp_path / 'a.gif', frames, scale=1)
  read, info = _read_gif(tmp_path / 'a.gif')
  np.testing.assert_array_equal(read, np.broadcast_to(frames, (5, 6, 7, 3)))
  assert info['duration'] == images.FRAME_MS and info['loop'] == 0
  images.write_gif(tmp_path / 'a.gif', frames)
  read, _ = _read_gif(tmp_path / 'a.gif')
  np.testing.assert_array_equal(read[:, ::73, ::73], np.broadcast_to(frames, (5, 6, 7, 3)))


def test_a_video_grid_is_a_grid_of_each_moment():
  videos = np.random.default_rng(0).uniform(size=(6, 4, 5, 5, 1))
  for columns in (None, 3):
    moving = images.video_grid(videos, columns)
    assert moving.dtype == np.uint8 and moving.shape[0] == 4
    for t in range(4):
      np.testing.assert_array_equal(moving[t], images.grid(videos[:, t], columns))


@pytest.mark.parametrize(
  'shape, dtype', [((2, 3, 3, 1), float), ((3, 3, 1), 'u1'), ((2, 3, 3, 2), 'u1')]
)
def test_frames_of_a_wrong_shape_raise(tmp_path, shape, dtype):
  with pytest.raises(ValueError, match='expected uint8'):
    images.write_gif(tmp_path / 'a.gif', np.zeros(shape, dtype))
  assert not list(tmp_path.iterdir())
