"""A grid of pictures whose rows have titles."""

from collections.abc import Sequence

import numpy as np

from vaejax.reporting.images import SEPARATOR, enlarge

SHOWN = 64  # pixels: smaller pictures are enlarged to about this
SIZE, MARGIN = 14, 6  # of the letters, in pixels


def titled(rows: Sequence[tuple[str, np.ndarray]]) -> np.ndarray:
  """A picture, uint8 [h, w, 1 or 3], of rows of images with their titles at the left.

  Args:
    rows: (title, images float [K, H, W, C] in [0, 1]) with C of 1, 3 or 4 (put on white). Rows may
      have images of different sizes, which are all enlarged by whole factors to one height.
      NaN is grey.
  """
  arrays = [to_rgb(images) for _, images in rows]
  target = max(SHOWN, *(x.shape[1] for x in arrays))
  blocks = [row_of(x, max(1, target // x.shape[1])) for x in arrays]
  left = label_width([title for title, _ in rows])
  width = left + max(block.shape[1] for block in blocks)
  height = sum(len(block) + 2 for block in blocks) - 2
  picture = np.full((height, width, 3), 255, np.uint8)
  tops, top = [], 0
  for block in blocks:
    picture[top : top + len(block), left : left + block.shape[1]] = block
    tops.append(top + len(block) // 2)
    top += len(block) + 2
  return write_titles(picture, zip((title for title, _ in rows), tops, strict=True))


def to_rgb(images: np.ndarray) -> np.ndarray:
  """Images [K, H, W, 1, 3 or 4] in [0, 1] as uint8 [K, H, W, 3]."""
  x = np.nan_to_num(np.asarray(images, np.float32), nan=SEPARATOR / 255).clip(0, 1)
  if x.shape[-1] == 4:
    x = x[..., :3] * x[..., 3:] + 1 - x[..., 3:]
  return np.round(np.broadcast_to(x, (*x.shape[:-1], 3)) * 255).astype(np.uint8)


def row_of(images: np.ndarray, scale: int) -> np.ndarray:
  """Images uint8 [K, H, W, 3] next to each other, with thin white lines between them."""
  large = [np.pad(enlarge(x, scale), ((0, 0), (0, 2), (0, 0)), constant_values=255) for x in images]
  return np.concatenate(large, axis=1)[:, :-2]


def font():
  """The font of titles."""
  from PIL import ImageFont

  return ImageFont.load_default(SIZE)


def label_width(titles: Sequence[str]) -> int:
  """The pixels that the widest line of the titles needs, 0 if all are empty."""
  lines = [line for title in titles for line in title.splitlines()]
  return max((int(font().getlength(line)) + 2 * MARGIN for line in lines), default=0)


def write_titles(picture: np.ndarray, places) -> np.ndarray:
  """The picture with (title, its vertical centre) written at the left."""
  from PIL import Image, ImageDraw

  image = Image.fromarray(picture)
  draw = ImageDraw.Draw(image)
  for title, centre in places:
    draw.multiline_text((MARGIN, centre), title, fill=(0, 0, 0), font=font(), anchor='lm')
  return np.asarray(image)
