"""Images of MNIST's size without MNIST: the embedded digits, enlarged and moved about."""

import numpy as np

from vaejax.data.sets import digits

SIZE, SCALE = 28, 3


def images(count: int, split: str = 'train', seed: int = 0) -> np.ndarray:
  """uint8 [count, 28, 28, 1]: digits drawn with replacement, three times as large, each at a random
  place; those of 'test' are of other writers."""
  rng = np.random.default_rng(seed)
  small, _ = digits.read()
  small = small[: -digits.TEST] if split == 'train' else small[-digits.TEST :]
  large = small[..., 0].repeat(SCALE, 1).repeat(SCALE, 2)
  which = rng.integers(len(large), size=count)
  room = SIZE - large.shape[1] + 1
  places = rng.integers(room, size=(count, 2))
  canvas = np.zeros((count, SIZE, SIZE, 1), np.uint8)
  for y, x in np.ndindex(room, room):
    here = (places == (y, x)).all(1)
    canvas[here, y : y + large.shape[1], x : x + large.shape[2], 0] = large[which[here]]
  return canvas


def data(count: int, tests: int = 1000) -> dict:
  """Both splits, as vaejax.train takes them."""
  return {'train': images(count), 'test': images(tests, 'test')}
