"""Omniglot (Lake et al. 2015): handwritten characters of 50 alphabets, 105x105 in three equal
channels. They are read at 28x28 with one channel, as for published densities (Burda et al.
2016)."""

from vaejax.data.sets import BINARY

DRAWN = True
SUITS = BINARY | {'data.size': 28, 'data.channels': 1}
FILES = {
  'train': 'images_background.zip',
  'test': 'images_evaluation.zip',
  'small1': 'images_background_small1.zip',
  'small2': 'images_background_small2.zip',
}
SPLITS = tuple(FILES)
ARCHIVES = tuple(FILES.values())


def read(split: str, paths):
  """The names of the alphabets and characters, and the rows of a split."""
  import zipfile

  archive = zipfile.ZipFile(paths[FILES[split]])
  listing = members(archive)

  def rows():
    for alphabet, character, file, member in listing:
      row = {'image': archive.read(member), 'alphabet': alphabet, 'alphabet_char_id': character}
      yield f'{alphabet}_{character}_{file}', {**row, 'label': int(file.split('_')[0]) - 1}

  return names(paths), len(listing), rows()


def members(archive) -> list[tuple[str, int, str, str]]:
  """The alphabet, number of the character from 0, file and path of every image of an archive."""
  paths = [path for path in archive.namelist() if path.endswith('.png')]
  parts = [(*path.split('/')[-3:], path) for path in sorted(paths)]
  return [(a, int(c.removeprefix('character')) - 1, file, path) for a, c, file, path in parts]


def names(paths) -> dict[str, list[str]]:
  """The names of the alphabets and of the characters, in the order of their labels."""
  import zipfile

  images = [row for file in ARCHIVES for row in members(zipfile.ZipFile(paths[file]))]
  labels = {int(file.split('_')[0]): f'{a}_{character}' for a, character, file, _ in images}
  alphabets = sorted({alphabet for alphabet, *_ in images})
  return {'alphabet': alphabets, 'label': [labels[k] for k in sorted(labels)]}
