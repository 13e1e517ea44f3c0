"""A picture out of small pictures: which of them shows which part best."""

import numpy as np

LUMA = np.asarray((0.299, 0.587, 0.114))  # Rec. 601, as in PIL's conversion to grey
GROUPS = 4  # of samples; neighbours are of different ones
TAIL = 0.02  # of the brightness, outside the range that is matched
MEAN = 4.0  # the weight of a mean colour, relative to that of the details


def patches(images: np.ndarray, size: int) -> np.ndarray:
  """The means of size x size equal parts of images float [N, H, W, C], [N, size * size * C]."""
  n, height, width, _ = images.shape
  halves = lambda length: np.linspace(0, length, size + 1).round().astype(int)[:-1]
  sums = np.add.reduceat(np.add.reduceat(images, halves(height), axis=1), halves(width), axis=2)
  count = lambda length: np.diff(np.append(halves(length), length))
  area = count(height)[:, None] * count(width)
  return (sums / area[..., None]).reshape(n, -1).astype(np.float32)


def cells(target: np.ndarray, rows: int, columns: int, size: int) -> np.ndarray:
  """The patches of the cells of a target float [rows * size, columns * size, C], row by row: [rows,
  columns, size * size * C]."""
  channels = target.shape[-1]
  parts = target.reshape(rows, size, columns, size, channels).transpose(0, 2, 1, 3, 4)
  return parts.reshape(rows, columns, -1)


def brightness(patch: np.ndarray, channels: int) -> np.ndarray:
  """The mean brightness of patches [..., size * size * C], [...]."""
  means = patch.reshape(*patch.shape[:-1], -1, channels).mean(-2)
  return means @ LUMA if channels == 3 else means[..., 0]


def matched(target: np.ndarray, bank: np.ndarray, channels: int) -> np.ndarray:
  """The patches of a target with contrast and brightness changed to the range of those of a bank:
  a bank of white strokes on black has nothing that is white."""
  ends = lambda x: np.quantile(brightness(x, channels), (TAIL, 1 - TAIL))
  (low, high), (bank_low, bank_high) = ends(target), ends(bank)
  scale = (bank_high - bank_low) / max(high - low, 1e-6)
  return (target - low) * scale + bank_low


def emphasised(patch: np.ndarray, channels: int) -> np.ndarray:
  """The features by which patches [..., size * size * C] are compared: their mean colour, which is
  what one sees from afar, with the weight MEAN, and the differences from it."""
  parts = patch.reshape(*patch.shape[:-1], -1, channels)
  mean = parts.mean(-2, keepdims=True)
  detail = (parts - mean).reshape(patch.shape)
  weight = MEAN * np.sqrt(parts.shape[-2])
  return np.concatenate([detail, weight * mean[..., 0, :]], axis=-1)


def choose(target: np.ndarray, bank: np.ndarray) -> np.ndarray:
  """The sample that each cell shows, int [rows, columns]: the nearest of its group.

  The group of a cell depends on whether its row and its column are odd, so that none of its eight
  neighbours shows the same sample.

  Args:
    target: [rows, columns, F], patches of the cells.
    bank: [N, F], patches of the samples; sample i is in group i % GROUPS.
  """
  choice = np.zeros(target.shape[:2], int)
  for group in range(GROUPS):
    here, samples = target[group // 2 :: 2, group % 2 :: 2], bank[group::GROUPS]
    squares = (samples**2).sum(-1)
    nearest = [(squares - 2 * row @ samples.T).argmin(-1) for row in here]
    if nearest:
      choice[group // 2 :: 2, group % 2 :: 2] = np.stack(nearest) * GROUPS + group
  return choice
