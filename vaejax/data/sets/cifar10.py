"""CIFAR-10 (Krizhevsky 2009): 60,000 photographs of ten classes, 32x32 in colour; 10,000 are the
test split."""

ARCHIVES = ('cifar-10-binary.tar.gz',)
FOLDER = 'cifar-10-batches-bin/'
BATCHES = {
  'train': [f'data_batch_{i}.bin' for i in range(1, 6)],
  'test': ['test_batch.bin'],
}
# The labels of a record in their order, and the files with the names of their classes.
LABELS = {'label': 'batches.meta.txt'}


def read(split: str, paths):
  """The names of the classes, and the rows of a split."""
  return read_batches(paths[ARCHIVES[0]], FOLDER, BATCHES[split], LABELS, split)


def read_batches(path, folder: str, batches: list[str], labels: dict[str, str], split: str):
  """What `read` returns, for the archive of CIFAR-10 or CIFAR-100."""
  import tarfile

  import numpy as np

  # Members are read by name and not extracted, so the archive cannot choose paths to write to.
  with tarfile.open(path, 'r:gz') as archive:
    member = lambda file: archive.extractfile(folder + file).read()
    names = {label: member(file).decode().split() for label, file in labels.items()}
    data = np.frombuffer(b''.join(member(file) for file in batches), np.uint8)
  data = data.reshape(-1, len(labels) + 3 * 32 * 32)
  images = data[:, len(labels) :].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)

  def rows():
    for i, (image, numbers) in enumerate(zip(images, data, strict=True)):
      of_row = dict(zip(labels, numbers, strict=False))
      yield i, {'id': f'{split}_{i:05d}', 'image': np.ascontiguousarray(image), **of_row}

  return names, len(images), rows()
