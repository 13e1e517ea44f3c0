"""A grid of pictures with titles of rows and columns, and a table of shares at its right."""

from collections.abc import Sequence

import numpy as np

from vaejax.reporting.titled import SHOWN, font, titled

HEAD = 22  # pixels of the titles of columns
CELL = 86  # width of a cell of the table
DARK = np.array([8, 64, 129])  # of a share of 1; 0 is white


def labelled_grid(
  rows: Sequence[tuple[str, np.ndarray]],
  columns: Sequence[str],
  table: np.ndarray | None = None,
  headings: Sequence[str] = (),
  caption: str = '',
) -> np.ndarray:
  """A picture, uint8 [h, w, 3], see titled.titled.

  Args:
    rows: (title, images [K, H, W, C] in [0, 1]), all of one size.
    columns: the K titles of columns.
    table: numbers from 0 to 1 [rows, M], drawn as a heat map beside the rows; None: none.
    headings: the M titles of its columns.
    caption: what the numbers are, above the headings.
  """
  from PIL import Image, ImageDraw

  grid = titled(rows)
  count, height, width, _ = rows[0][1].shape
  scale = max(1, max(SHOWN, height) // height)
  across, down = width * scale + 2, height * scale + 2
  left = grid.shape[1] - (across * count - 2)
  extra = 0 if table is None else 8 + CELL * table.shape[1]
  head = HEAD * (2 if caption else 1)
  picture = np.full((head + len(grid), grid.shape[1] + extra, 3), 255, np.uint8)
  picture[head:, : grid.shape[1]] = grid
  line, black = head - HEAD // 2, (0, 0, 0)
  places = [(left + across * k + across // 2 - 1, line, t, black) for k, t in enumerate(columns)]
  places.append((grid.shape[1] + extra // 2, HEAD // 2, caption, black))
  for m in range(0 if table is None else table.shape[1]):
    x = grid.shape[1] + 8 + CELL * m
    places.append((x + CELL // 2, line, headings[m], black))
    for k, share in enumerate(table[:, m]):
      y = head + down * k
      picture[y : y + down - 2, x : x + CELL - 2] = np.round(255 + share * (DARK - 255))
      colour = (255, 255, 255) if share > 0.4 else black
      places.append((x + CELL // 2, y + down // 2, f'{share:.2f}', colour))
  image = Image.fromarray(picture)
  draw = ImageDraw.Draw(image)
  for x, y, text, colour in places:
    draw.text((x, y), text, fill=colour, font=font(), anchor='mm')
  return np.asarray(image)
