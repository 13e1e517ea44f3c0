"""The files of dSprites and 3D Shapes, which are read as they were published.

https://github.com/google-deepmind/dsprites-dataset and https://github.com/google-deepmind/3d-shapes
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

ORIENTATIONS = 15  # of 3D Shapes, from -30 to 30 degrees


class Factored(NamedTuple):
  """A published file with known factors.

  Attributes:
    name: the name of the dataset.
    image, factors: the names of the arrays of images and factors.
    values: {factor: its values}, in the order of the columns; None if the file has their indices.
    counts: {factor: number of its values}.
    label: the factor that is the label.
    class_names: the names of the label's classes, () if they have none.
    binary: whether images are 0 and 1.
  """

  name: str
  image: str
  factors: str
  values: Mapping[str, np.ndarray] | None
  counts: Mapping[str, int]
  label: str
  class_names: tuple[str, ...]
  binary: bool


HUES = np.arange(10) / 10
VALUES = {
  'floor_hue': HUES,
  'wall_hue': HUES,
  'object_hue': HUES,
  'scale': np.linspace(0.75, 1.25, 8),
  'shape': np.arange(4.0),
  'orientation': np.linspace(-30, 30, ORIENTATIONS),
}
COUNTS = {'color': 1, 'shape': 3, 'scale': 6, 'orientation': 40, 'x': 32, 'y': 32}
DSPRITES = Factored(
  'dSprites', 'imgs', 'latents_classes', None, COUNTS, 'shape', ('square', 'ellipse', 'heart'), True
)
SHAPES3D = Factored(
  '3D Shapes',
  'images',
  'labels',
  VALUES,
  {name: len(values) for name, values in VALUES.items()},
  'shape',
  (),
  False,
)


def recognise(arrays: Mapping, read) -> Factored | None:
  """The dataset of a file, by the names, shapes and values of its arrays; None for another file.

  `read` is array -> its values. The HDF5 file of dSprites calls 'latents/classes' what its .npz
  calls 'latents_classes'.
  """
  name_of = {name.replace('/', '_'): name for name in arrays}
  for known in (DSPRITES, SHAPES3D):
    if not {known.image, known.factors} <= name_of.keys():
      continue
    known = known._replace(image=name_of[known.image], factors=name_of[known.factors])
    images, factors = arrays[known.image], arrays[known.factors]
    if images.shape[1:3] != (64, 64) or factors.shape != (images.shape[0], len(known.counts)):
      continue
    numbers = encode(known, read(factors))
    if numbers is not None:
      return known
  return None


def encode(known: Factored, values: np.ndarray) -> np.ndarray | None:
  """The index of each value in its factor, int32 [N, F]; None if the dataset has no such value."""
  if known.values is None:
    if values.dtype.kind not in 'iu' or values.min() < 0:
      return None
    numbers = values
  else:
    grids = list(known.values.values())
    columns = [np.abs(v[:, None] - g).argmin(1) for v, g in zip(values.T, grids, strict=True)]
    nearest = [grid[column] for grid, column in zip(grids, columns, strict=True)]
    if not np.allclose(np.stack(nearest, 1), values, atol=1e-3):
      return None
    numbers = np.stack(columns, 1)
  fits = (numbers.max(0) < list(known.counts.values())).all()
  return numbers.astype(np.int32) if fits else None
