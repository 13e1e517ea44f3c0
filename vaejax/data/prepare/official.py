"""Prepares a dataset for TFDS without TensorFlow, from its official archives.

The official builders need TensorFlow to read their archives. A subclass here replaces only that
step, so it writes the same dataset: the same name, version, checksums, labels and row order.
"""

import contextlib
import io
import os
import sys
import urllib.parse

import numpy as np

from vaejax.data import sets
from vaejax.data.prepare import download
from vaejax.errors import UserError


def files(name: str) -> tuple[str, ...]:
  """The official archives of a dataset; () if its file lists none."""
  return getattr(sets.find(name), 'ARCHIVES', ())


def archives(name: str, data_dir: str) -> str:
  """The folder for manually downloaded archives of a dataset. Each dataset has its own, because
  three have the same file names."""
  return os.path.join(data_dir, 'downloads', 'manual', name)


def missing(name: str, data_dir: str) -> list[str]:
  """The archives of a dataset that are not in its folder yet."""
  folder = archives(name, data_dir)
  return [file for file in files(name) if not os.path.isfile(os.path.join(folder, file))]


def obtainable(name: str, data_dir: str) -> bool:
  """Whether a dataset can be prepared: its `files` are in `archives`, or their host answers.

  Takes at most 3 seconds, while TFDS would retry for minutes.
  """
  absent = missing(name, data_dir)
  return not absent or download.answers(urls(name)[absent[0]])


def prepare(name: str, data_dir: str) -> None:
  """Prepares a dataset in data_dir as array_record, from its archives. Those that are missing are
  downloaded.

  TFDS writes to a temporary folder and renames it when it is complete.

  Raises:
    UserError: an archive is not the official file, or data_dir cannot be written.
  """
  import tensorflow_datasets

  folder, absent, address = archives(name, data_dir), missing(name, data_dir), urls(name)
  origin = urllib.parse.urlsplit(address[absent[0]]).netloc if absent else folder
  print(f'vaejax: preparing {name} in {data_dir} from {origin}', file=sys.stderr)
  infos = official_class(name).url_infos
  for file in absent:
    info = infos[address[file]]
    download.fetch(address[file], os.path.join(folder, file), int(info.size), info.checksum)
  tensorflow_datasets.disable_progress_bar()
  settings = tensorflow_datasets.download.DownloadConfig(manual_dir=folder, try_download_gcs=False)
  builder = None
  try:
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints two long lines
      builder = make_builder(name, data_dir)
      builder.download_and_prepare(download_config=settings, file_format='array_record')
  except Exception as error:
    if builder and builder.is_prepared():
      return  # another process was first
    lines = str(error).splitlines() or [type(error).__name__]
    raise UserError(f'cannot prepare {name} in {data_dir} from {origin}: {lines[0]}') from error


def official_class(name: str) -> type:
  """The builder class of a dataset in TFDS."""
  import tensorflow_datasets

  return tensorflow_datasets.builder_cls(name)


def urls(name: str) -> dict[str, str]:
  """{archive: its download URL}, in the order of `files`."""
  known = {os.path.basename(url): url for url in official_class(name).url_infos}
  return {file: known[file] for file in files(name)}


def make_builder(name: str, data_dir: str):
  """A TFDS builder of a dataset that reads the archives without TensorFlow."""
  base, module = official_class(name), sets.find(name)
  splits = getattr(module, 'SPLITS', ('train', 'test'))

  class Official(base, skip_registration=True):
    # TFDS looks for checksums and descriptions at the official path, and ignores manual downloads
    # without checksums.
    code_path = base.code_path
    pkg_dir_path = base._get_pkg_dir_path()

    def _split_generators(self, dl_manager):
      address = urls(name)
      paths = dict(zip(address, dl_manager.download(list(address.values())), strict=True))
      return {split: self._generate_examples(split, paths) for split in splits}

    def _generate_examples(self, split, paths):
      names, count, rows = module.read(split, paths)
      for feature, values in names.items():
        self.info.features[feature].names = values
      with download.progress_bar(count, f'{name} {split}', ' rows') as bar:
        # The keys are the official ones: TFDS orders rows by their hash.
        for key, row in rows:
          yield key, {feature: stored(value) for feature, value in row.items()}
          bar.update()

  Official.name = name
  return Official(data_dir=data_dir)


def stored(value):
  """A value as TFDS takes it without TensorFlow: images as PIL images or files."""
  from PIL import Image

  if isinstance(value, bytes):
    return io.BytesIO(value)
  if isinstance(value, np.ndarray) and value.ndim:
    return Image.fromarray(value)
  return int(value) if isinstance(value, np.integer) else value
