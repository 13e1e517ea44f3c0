"""CIFAR-10 (Krizhevsky 2009): 60,000 photographs of ten classes, 32x32 in colour; 10,000 are the
test split."""

ARCHIVES = ('cifar-10-binary.tar.gz',)
FOLDER = 'cifar-10-batches-bin/'
BATCHES = {
  'train': [f'data_batch_{i}.bin' for i in range(1, 6)],
  'test': ['test_batch.bin'],
}


def read(split: str, paths):
  """The names of the labels, and rows of (uint8 [32, 32, 3], label)."""
  import tarfile

  import numpy as np

  # Members are read by name and not extracted, so the archive cannot choose paths to write to.
  with tarfile.open(paths[ARCHIVES[0]], 'r:gz') as archive:
    member = lambda file: archive.extractfile(FOLDER + file).read()
    names = member('batches.meta.txt').decode().split()
    rows = np.frombuffer(b''.join(member(file) for file in BATCHES[split]), np.uint8)
  rows = rows.reshape(-1, 1 + 3 * 32 * 32)
  images = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
  return names, zip(np.ascontiguousarray(images), rows[:, 0], strict=True)
