"""Binarized MNIST (Salakhutdinov & Murray 2008): one fixed draw of every pixel of MNIST, in splits
of 50,000, 10,000 and 10,000, without labels. TFDS stores it as 0 and 1."""

from vaejax.data.sets import BINARY

DRAWN = True
SUITS = BINARY | {'data.binarise': 'threshold'}
WHITE = 1
SPLITS = 'train', 'validation', 'test'
FILES = {
  split: f'binarized_mnist_{split[:5] if split == "validation" else split}.amat' for split in SPLITS
}
ARCHIVES = tuple(FILES.values())


def read(split: str, paths):
  """No classes, and the rows of a split. Its file has a line of 784 numbers for each image."""
  import numpy as np

  with open(paths[FILES[split]], 'rb') as file:
    text = np.frombuffer(file.read(), np.uint8)
  pixels = text[text > ord(' ')] - ord('0')
  if not len(pixels) or len(pixels) % 784 or pixels.max() > 1:
    raise ValueError(f'{FILES[split]} is not lines of 784 numbers 0 or 1')
  images = pixels.reshape(-1, 28, 28)
  return {}, len(images), ((i, {'image': image}) for i, image in enumerate(images))
