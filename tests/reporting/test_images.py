import re

import numpy as np
import pytest
from PIL import Image

from vaejax.reporting import images


def _flat(n, height=4, width=6, channels=1):
  """n images, image i all of the value i / 255."""
  values = np.arange(n, dtype=np.float32).reshape(-1, 1, 1, 1) / 255
  return np.broadcast_to(values, (n, height, width, channels))


def test_cells_lie_in_rows_left_to_right_with_a_line_between():
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


def test_large_cells_have_a_line_of_two_pixels():
  assert images.grid(_flat(2, 64, 64, 3), columns=2).shape == (64, 130, 3)


def test_originals_stand_above_their_reconstructions():
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


def test_wrong_shapes_are_refused():
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
def test_a_png_holds_the_pixels_each_as_a_square(tmp_path, channels):
  image = np.random.default_rng(0).integers(0, 256, (3, 5, channels), np.uint8)
  images.write_png(tmp_path / 'a.png', image, scale=4)
  read = np.asarray(Image.open(tmp_path / 'a.png')).reshape(12, 20, channels)
  for row in range(4):
    for column in range(4):
      np.testing.assert_array_equal(read[row::4, column::4], image)


def test_small_pictures_are_enlarged_to_look_at_and_large_ones_left(tmp_path):
  images.write_png(tmp_path / 'a.png', images.grid(_flat(64, 8, 8)))
  assert 450 <= Image.open(tmp_path / 'a.png').width <= 512
  images.write_png(tmp_path / 'a.png', np.zeros((300, 700, 3), np.uint8))
  assert Image.open(tmp_path / 'a.png').size == (700, 300)


def test_a_thinned_curve_keeps_its_ends_its_order_and_its_spikes():
  points = [(i, float(i % 7)) for i in range(100_003)]
  points[54_321] = (54_321, 99.0)
  points[12_345] = (12_345, -99.0)
  kept = images.thin(points)
  assert 250 <= len(kept) <= 500
  assert kept[0] == points[0]
  assert kept[-1] == points[-1]
  assert points[54_321] in kept
  assert points[12_345] in kept
  assert kept == sorted(set(kept))
  for n in (0, 1, 499, 500):
    assert images.thin(points[:n]) == points[:n]
  assert len(images.thin(points[:501])) <= 500


def _lines(svg):
  """{CSS class: [(x, y)]} of an svg's polylines, in pixels."""
  found = re.findall(r'<polyline class="(\w+)" points="([^"]*)"', svg)
  pairs = lambda text: [tuple(map(float, p.split(','))) for p in text.split()]
  return {name: pairs(text) for name, text in found}


def test_a_chart_puts_points_where_its_ticks_say():
  svg = images.chart({'train': [(0, 0.0), (500, 10.0), (1000, 5.0)], 'test': [(1000, 10.0)]})
  lines = _lines(svg)
  assert [len(line) for line in lines.values()] == [3, 1]
  across = {t: float(x) for x, t in re.findall(r'x="([\d.]+)" y="[\d.]+" \S+="middle">(\w+)<', svg)}
  up = {t: float(y) - 4 for y, t in re.findall(r'y="([\d.]+)" text-anchor="end">([\d.]+)<', svg)}
  (x0, y0), (x1, y1), (x2, y2) = lines['train']
  assert (x0, x1, x2) == (across['0'], across['500'], across['1k'])
  assert (y0, y2, y1) == pytest.approx((up['0'], up['5'], up['10']), abs=0.11)
  assert lines['test'] == [(x2, y1)]
  assert y1 < y2 < y0  # up is more


def test_a_steep_start_does_not_flatten_the_rest():
  curve = [(step, 1000.0 if step < 3 else 100 - step / 10) for step in range(100)]
  line = _lines(images.chart({'train': curve}))['train']
  heights = [y for _, y in line[5:]]
  assert max(heights) - min(heights) > 100  # of some 190 pixels
  assert line[0][1] < -100  # cut off above


@pytest.mark.parametrize(
  'values',
  [
    [3.0],
    [0.0, 0.0],
    [-5.0, -5.0],
    [1e-30, 2e-30],
    [-1e29, 1e29],
    [1.0, 1.0 + 1e-15],
    [0, 5e-324],
    [1e29],
  ],
)
def test_flat_tiny_and_huge_curves_are_drawn_inside_the_chart(values):
  line = _lines(images.chart({'train': list(enumerate(values))}))['train']
  assert len(line) == len(values)
  assert all(0 <= x <= 420 and 0 <= y <= 230 for x, y in line)
