"""CIFAR-100 (Krizhevsky 2009): 60,000 photographs of a hundred classes in twenty groups, 32x32 in
colour; 10,000 are the test split. The groups are `data.label=coarse_label`."""

ARCHIVES = ('cifar-100-binary.tar.gz',)
FOLDER = 'cifar-100-binary/'
LABELS = {'coarse_label': 'coarse_label_names.txt', 'label': 'fine_label_names.txt'}


def read(split: str, paths):
  """The names of the classes, and the rows of a split."""
  from vaejax.data.sets.cifar10 import read_batches

  return read_batches(paths[ARCHIVES[0]], FOLDER, [f'{split}.bin'], LABELS, split)
