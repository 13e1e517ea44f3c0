"""1,797 handwritten digits of 8x8 pixels, included in the package.

The test part of "Optical Recognition of Handwritten Digits" (Alpaydin & Kaynak 1998, UCI Machine
Learning Repository, CC BY 4.0), as in scikit-learn. Each row of `digits.png` is a digit: 64 pixels
with grey levels from 0 to 16, then the label. The last 297, by other writers, are the test split.
"""

from functools import cache
from pathlib import Path

DRAWN = True
SUITS = {'model.net': 'mlp', 'model.widths': (256,)}
TEST = 297
LEVELS = 17


@cache
def read():
  """Images uint8 [1797, 8, 8, 1] from 0 to 255, and labels int32 [1797]."""
  import numpy as np
  from PIL import Image

  with Image.open(Path(__file__).with_name('digits.png')) as file:
    rows = np.asarray(file)
  grey = np.round(rows[:, :64] * (255 / 16)).astype(np.uint8)
  return grey.reshape(-1, 8, 8, 1), rows[:, 64].astype(np.int32)


def table(split: str, size: int | None = None, channels=None, fit='resize', frames=None):
  """The 'train' or 'test' split, 8x8 with 17 levels, or of another `size` with 256."""
  import numpy as np

  from vaejax.data.fit import fit_image
  from vaejax.data.table import of_arrays

  part = slice(0, -TEST) if split == 'train' else slice(-TEST, None)
  images, labels = (array[part] for array in read())
  if size or channels:
    images = np.stack([fit_image(image, size or 8, channels, fit) for image in images])
  rows = of_arrays({'image': images, 'label': labels}, 10, f'digits {split}')
  return rows._replace(levels=256 if size and size != 8 else LEVELS)
