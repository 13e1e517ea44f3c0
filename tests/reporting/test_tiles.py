"""Tiles in a large picture: at their own size they are themselves, and bands do not show."""

import jax
import numpy as np
import pytest

from vaejax.reporting import tiles

TILES = np.random.default_rng(0).uniform(size=(12, 6, 6, 3)).astype(np.float32)


def whole(layout, at_once=256, images=TILES):
  take = lambda first, n: images[first : first + n]
  return np.concatenate(list(tiles.bands(layout, take, at_once)))


def test_at_their_own_size_tiles_are_unchanged():
  layout = tiles.fitted(24, 3, 4, (6, 6))
  assert layout == tiles.Layout(3, 4, 18, 24) and layout.tile == (6, 6)
  expected = TILES.reshape(3, 4, 6, 6, 3).transpose(0, 2, 1, 3, 4).reshape(18, 24, 3)
  np.testing.assert_array_equal(whole(layout), np.round(expected * 255))
  uint8 = np.round(TILES * 255).astype(np.uint8)
  np.testing.assert_array_equal(whole(layout, 1, uint8), np.round(expected * 255))


def test_bands_of_any_size_give_the_same_picture(monkeypatch):
  layout = tiles.fitted(103, 3, 4, (6, 6))
  large = whole(layout)
  assert large.shape == (layout.height, 103, 3) == (77, 103, 3)
  monkeypatch.setattr(tiles, 'BAND', 500)  # a band of 4 rows
  take = lambda first, n: TILES[first : first + n]
  parts = list(tiles.bands(layout, take, 4))
  assert max(map(len, parts)) == 4
  assert np.abs(np.concatenate(parts).astype(int) - large).max() <= 1


def test_it_resizes_as_jax_does():
  layout = tiles.fitted(40, 1, 1, (6, 6))
  expected = jax.image.resize(TILES[0], (40, 40, 3), 'cubic').clip(0, 1) * 255
  assert np.abs(whole(layout, images=TILES[:1]) - expected).max() <= 1


@pytest.mark.parametrize('pixels', [8, 24, 97])
def test_a_uniform_picture_has_no_seams(pixels):
  x = whole(tiles.fitted(pixels, 3, 4, (6, 6)), images=np.full_like(TILES, 0.4))
  assert (x == 102).all()


def test_edges_cover_every_pixel():
  ends = tiles.edges(103, 7)
  assert ends[0] == 0 and ends[-1] == 103 and set(np.diff(ends)) == {14, 15}
