"""Street View House Numbers (Netzer et al. 2011), cropped: 99,289 digits from photographs, 32x32 in
colour; 26,032 are the test split, and 531,131 simpler ones are the split `extra`."""

SPLITS = 'train', 'test', 'extra'
ARCHIVES = tuple(f'{split}_32x32.mat' for split in SPLITS)


def read(split: str, paths):
  """No names of classes, since TFDS knows them, and the rows of a split."""
  import numpy as np
  from scipy.io import loadmat

  data = loadmat(paths[f'{split}_32x32.mat'])
  images, labels = np.moveaxis(data['X'], -1, 0), data['y'].reshape(-1)
  if len(images) != len(labels) or not 1 <= labels.min() <= labels.max() <= 10:
    raise ValueError(f'{split}_32x32.mat does not have one label from 1 to 10 for each image')

  def rows():
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
      # The digit 0 has the label 10.
      row = {'image': np.ascontiguousarray(image), 'label': label % 10}
      yield i, {'id': f'{split}_{i:06d}', **row}

  return {}, len(images), rows()
