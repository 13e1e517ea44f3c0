"""Animated GIFs, read back: frames, times, and pixels."""

import io

import numpy as np
import pytest
from PIL import Image, ImageSequence

from vaejax.reporting import gif, images


def read(data: bytes):
  with Image.open(io.BytesIO(data)) as file:
    frames = [np.asarray(f.convert('RGB')) for f in ImageSequence.Iterator(file)]
    return np.stack(frames), file.info


@pytest.mark.parametrize('channels', [1, 3])
def test_every_frame_is_there_as_it_was(channels):
  # Few colours: a GIF holds 256 of them.
  frames = np.random.default_rng(0).choice([0, 80, 255], (5, 6, 7, channels)).astype(np.uint8)
  found, info = read(gif.encode_gif(frames))
  np.testing.assert_array_equal(found, np.broadcast_to(frames, (5, 6, 7, 3)))
  assert info['duration'] == gif.DURATION and info['loop'] == 0


def test_a_film_is_a_grid_at_every_moment():
  videos = np.random.default_rng(0).uniform(size=(6, 4, 5, 5, 1))
  for columns in (None, 3):
    found = gif.film(videos, columns)
    assert found.dtype == np.uint8 and found.shape[0] == 4
    for t in range(4):
      np.testing.assert_array_equal(found[t], images.grid(videos[:, t], columns))


def test_a_file_is_enlarged(tmp_path):
  frames = np.random.default_rng(0).choice([0, 255], (3, 4, 4, 1)).astype(np.uint8)
  gif.write_gif(tmp_path / 'x.gif', frames)
  found, _ = read((tmp_path / 'x.gif').read_bytes())
  assert found.shape == (3, 512, 512, 3)
  np.testing.assert_array_equal(found[:, ::128, ::128, :1], frames)


def test_what_is_no_film():
  for wrong in (
    np.zeros((2, 3, 3, 1)),
    np.zeros((3, 3, 1), np.uint8),
    np.zeros((2, 3, 3, 2), 'u1'),
  ):
    with pytest.raises(ValueError, match='expected uint8'):
      gif.encode_gif(wrong)
