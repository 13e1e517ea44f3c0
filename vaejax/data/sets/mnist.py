"""MNIST (LeCun et al. 1998): 70,000 handwritten digits of 28x28 grey levels; 10,000 are the test
split."""

from vaejax.data.sets import BINARY

DRAWN = True
SUITS = BINARY
FILES = {
  'train': ('train-images-idx3-ubyte.gz', 'train-labels-idx1-ubyte.gz'),
  'test': ('t10k-images-idx3-ubyte.gz', 't10k-labels-idx1-ubyte.gz'),
}
ARCHIVES = (*FILES['train'], *FILES['test'])


def read(split: str, paths):
  """[], since TFDS knows the names of the labels, and rows of (uint8 [28, 28], label)."""
  from vaejax.data import idx

  images, labels = (idx.read(paths[file], file) for file in FILES[split])
  if len(images) != len(labels):
    raise ValueError(f'{len(images)} {split} images but {len(labels)} labels')
  return [], zip(images, labels, strict=True)
