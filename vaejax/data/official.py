"""Prepares a dataset for TFDS without TensorFlow, from its official archives.

The official builders need TensorFlow to read their archives. A subclass here replaces only that
step, so it writes the same dataset: the same name, version, checksums, labels and row order.
"""

import contextlib
import io
import os
import sys
import threading
import urllib.parse
import urllib.request

from vaejax.data import sets
from vaejax.errors import UserError

_TIMEOUT = 3.0  # seconds for a download host to answer


def files(name: str) -> tuple[str, ...]:
  """The official archives of a dataset; () if its file lists none."""
  return getattr(sets.find(name), 'ARCHIVES', ())


def archives(name: str, data_dir: str) -> str:
  """The folder for manually downloaded archives of a dataset. Each dataset has its own, because
  three have the same file names."""
  return os.path.join(data_dir, 'downloads', 'manual', name)


def obtainable(name: str, data_dir: str) -> bool:
  """Whether a dataset can be prepared: its `files` are in `archives`, or their host answers.

  Takes at most 3 seconds, while TFDS would retry for minutes.
  """
  return _by_hand(name, data_dir) or _answers(_urls(name)[0])


def prepare(name: str, data_dir: str) -> None:
  """Prepares a dataset in data_dir as array_record, from its archives or their host.

  TFDS writes to a temporary folder and renames it when it is complete.

  Raises:
    UserError: an archive is not the official file, or data_dir cannot be written.
  """
  import tensorflow_datasets

  folder = archives(name, data_dir)
  origin = folder if _by_hand(name, data_dir) else urllib.parse.urlsplit(_urls(name)[0]).netloc
  print(f'vaejax: preparing {name} in {data_dir} from {origin}', file=sys.stderr)
  tensorflow_datasets.disable_progress_bar()
  settings = tensorflow_datasets.download.DownloadConfig(manual_dir=folder, try_download_gcs=False)
  builder = None
  try:
    with contextlib.redirect_stdout(io.StringIO()):  # TFDS prints two long lines
      builder = _builder(name, data_dir)
      builder.download_and_prepare(download_config=settings, file_format='array_record')
  except Exception as error:
    if builder and builder.is_prepared():
      return  # another process was first
    lines = str(error).splitlines() or [type(error).__name__]
    raise UserError(f'cannot prepare {name} in {data_dir} from {origin}: {lines[0]}') from error


def _by_hand(name: str, data_dir: str) -> bool:
  return all(os.path.isfile(os.path.join(archives(name, data_dir), f)) for f in files(name))


def _answers(url: str) -> bool:
  """Whether a file can be downloaded, decided within _TIMEOUT seconds."""
  results = []

  def request_head():
    with contextlib.suppress(Exception):
      request = urllib.request.Request(url, method='HEAD')
      with urllib.request.urlopen(request, timeout=_TIMEOUT) as reply:
        results.append(reply.status == 200)

  # In a thread, because the timeout of a request does not apply to resolving the host name.
  thread = threading.Thread(target=request_head, daemon=True)
  thread.start()
  thread.join(_TIMEOUT)
  return results == [True]


def _official(name: str) -> type:
  """The builder class of a dataset in TFDS."""
  import tensorflow_datasets

  return tensorflow_datasets.builder_cls(name)


def _urls(name: str) -> list[str]:
  """The download URLs of the archives, in the order of `files`."""
  known = {os.path.basename(url): url for url in _official(name).url_infos}
  return [known[file] for file in files(name)]


def _builder(name: str, data_dir: str):
  """A TFDS builder of a dataset that reads the archives without TensorFlow."""
  base, read = _official(name), sets.find(name).read

  class Official(base, skip_registration=True):
    # TFDS looks for checksums at the official path, and ignores manual downloads without them.
    code_path = base.code_path

    def _split_generators(self, dl_manager):
      paths = dict(zip(files(name), dl_manager.download(_urls(name)), strict=True))
      return {split: self._generate_examples(split, paths) for split in ('train', 'test')}

    def _generate_examples(self, split, paths):
      from PIL import Image

      names, rows = read(split, paths)
      if names:
        self.info.features['label'].names = names
      # The official keys: TFDS orders rows by their hash. CIFAR also stores them as 'id'.
      for i, (image, label) in enumerate(rows):
        row = {'image': Image.fromarray(image), 'label': int(label)}
        yield i, row | ({'id': f'{split}_{i:05d}'} if 'id' in self.info.features else {})

  Official.name = name
  return Official(data_dir=data_dir)
