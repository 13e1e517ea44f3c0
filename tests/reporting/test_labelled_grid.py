"""A grid with titles of its columns and a table at its right."""

import numpy as np

from vaejax.reporting.labelled_grid import CELL, DARK, HEAD, labelled_grid


def test_images_and_shares_are_where_they_belong():
  rows = [('one', np.zeros((2, 32, 32, 1))), ('two', np.full((2, 32, 32, 1), 0.5))]
  table = np.array([[0.0, 1.0], [1.0, 0.5]])
  picture = labelled_grid(rows, ['a', 'b'], table, ['x', 'y'], 'caption')
  plain = labelled_grid(rows, ['a', 'b'])
  assert picture.shape[1] == plain.shape[1] + 8 + 2 * CELL
  assert len(picture) == len(plain) + HEAD == 2 * HEAD + 2 * 64 + 2
  # The last image of each row ends where the table begins.
  x = plain.shape[1] - 5
  assert (picture[2 * HEAD + 60, x] == 0).all() and (picture[2 * HEAD + 70, x] == 128).all()
  corner = lambda k, m: picture[2 * HEAD + 66 * k + 3, plain.shape[1] + 8 + CELL * m + 3]
  assert (corner(0, 0) == 255).all() and (corner(0, 1) == DARK).all()
  assert (corner(1, 0) == DARK).all()
  assert np.allclose(corner(1, 1), (255 + DARK) / 2, atol=1)
  # Titles are written above the columns, and the caption above those of the table.
  head = picture[HEAD : 2 * HEAD, : plain.shape[1]]
  assert head.min() < 100 and picture[:HEAD, plain.shape[1] :].min() < 100
  assert picture[:HEAD, : plain.shape[1]].min() == 255
