"""25 Gaussians on a grid, points of the plane as images of one pixel with two channels: PacGAN's
2D-grid (Lin et al. 2018, arXiv:1712.04086, section 4.1).

The means are -4, -2, 0, 2 and 4 along both axes, and the standard deviation is 0.05. There are
100,000 points for training and 2500 in the test split, drawn once. The label is the Gaussian. The
`gaussians` eval counts the modes that a model covers.
"""

SIDE = (-4.0, -2.0, 0.0, 2.0, 4.0)
CENTRES = tuple((x, y) for x in SIDE for y in SIDE)
DEVIATION = 0.05
LIMIT = 6.0  # pictures and generators reach from -LIMIT to LIMIT along each axis
SCALE = 8**0.5  # standard deviation of a coordinate; methods see coordinates divided by it
SIZES = {'train': 100_000, 'test': 2500}
SUITS = {
  'model.net': 'mlp',
  'model.widths': (128, 128, 128),
  'model.latents': 2,
  'model.likelihood': 'gaussian_scalar',
}


def table(split: str, size: int | None = None, channels=None, fit='resize', frames=None):
  """The 'train' or 'test' split: 'image' float32 [1, 1, 2], and 'label' from 0 to 24."""
  import numpy as np

  from vaejax.data.table import of_arrays
  from vaejax.units import Units

  random = np.random.default_rng(list(SIZES).index(split))
  label = random.integers(len(CENTRES), size=SIZES[split])
  points = np.asarray(CENTRES)[label] + DEVIATION * random.standard_normal((len(label), 2))
  arrays = {
    'image': points.astype(np.float32).reshape(-1, 1, 1, 2),
    'label': label.astype(np.int32),
  }
  rows = of_arrays(arrays, len(CENTRES), f'gaussian_grid {split}')
  return rows._replace(levels=0, units=Units(scale=(SCALE,), low=(-LIMIT,), high=(LIMIT,)))
