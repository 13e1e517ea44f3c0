"""A PNG file in bands is the picture that Pillow reads."""

import numpy as np
import pytest
from PIL import Image

from vaejax.reporting.png_stream import filter_rows, write_bands


def picture(height, width, channels):
  """Stripes with a gradient above, whose rows are nearly equal, and noise below."""
  x = np.random.default_rng(0).integers(0, 256, (height, width, channels)).astype(np.uint8)
  x[: height // 2] = x[0] + np.arange(height // 2, dtype=np.uint8)[:, None, None]
  return x


@pytest.mark.parametrize('channels', [1, 3, 4])
@pytest.mark.parametrize('sizes', [(40,), (7, 1, 32)])
def test_pillow_reads_what_was_written(tmp_path, channels, sizes):
  x = picture(40, 33, channels)
  ends = np.cumsum((0, *sizes))
  bands = np.split(x, ends[1:-1])
  write_bands(tmp_path / 'x.png', bands, x.shape, 'python launch.py poster --label=é')
  with Image.open(tmp_path / 'x.png') as image:
    np.testing.assert_array_equal(np.asarray(image).reshape(x.shape), x)
    assert image.text == {'command': 'python launch.py poster --label=é'}
    assert image.info['dpi'] == pytest.approx((300, 300), abs=0.01)


def test_each_row_has_the_smallest_filter():
  ramp = np.arange(0, 200, 2, dtype=np.uint8)[None, :, None].repeat(3, 0)  # rows are equal
  rows = np.frombuffer(filter_rows(ramp), np.uint8).reshape(3, 101)
  assert rows[:, 0].tolist() == [1, 2, 2] and not rows[1:, 1:].any()
  # A band continues the one before.
  assert filter_rows(ramp[:1], ramp[0])[0] == 2
  assert filter_rows(np.zeros((1, 4, 1), np.uint8))[0] == 0


@pytest.mark.parametrize(
  ('bands', 'text'),
  [
    ([np.zeros((3, 5, 1), np.uint8)], 'expected 4 rows, got 3'),
    ([np.zeros((4, 6, 1), np.uint8)], 'expected uint8'),
    ([np.zeros((4, 5, 1))], 'expected uint8'),
  ],
)
def test_wrong_bands_leave_nothing(tmp_path, bands, text):
  with pytest.raises(ValueError, match=text):
    write_bands(tmp_path / 'x.png', bands, (4, 5, 1))
  assert not list(tmp_path.iterdir())


def test_an_error_between_bands_leaves_the_old_file(tmp_path):
  def bands():
    yield np.zeros((2, 5, 1), np.uint8)
    raise RuntimeError('in the middle')

  (tmp_path / 'x.png').write_bytes(b'old')
  with pytest.raises(RuntimeError):
    write_bands(tmp_path / 'x.png', bands(), (4, 5, 1))
  assert [path.read_bytes() for path in tmp_path.iterdir()] == [b'old']
