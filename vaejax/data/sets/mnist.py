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
  """No names of classes, since TFDS knows them, and the rows of a split."""
  from vaejax.data import idx

  images, labels = (idx.read(paths[file], file) for file in FILES[split])
  if len(images) != len(labels):
    raise ValueError(f'{len(images)} {split} images but {len(labels)} labels')
  pairs = zip(images, labels, strict=True)
  return {}, len(images), ((i, {'image': x, 'label': y}) for i, (x, y) in enumerate(pairs))
