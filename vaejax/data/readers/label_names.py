"""The names of the classes of a TFDS label that is a number or a text, from all splits."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator

from vaejax.data import classes
from vaejax.data.cache import cache_folder
from vaejax.data.readers import decoding, prepared
from vaejax.data.readers.features import Label

BLOCK = 4096  # records that are read at once
LAYOUT = 1


def read(builder, label: Label, folder: str) -> tuple[str, ...]:
  """The names of the classes. The first call reads every record; later calls read the cache.

  Raises UserError if the values cannot be labels.
  """
  splits = [split for split in builder.info.splits if builder.info.splits[split].num_examples]
  files = [str(path) for split in splits for path in builder.info.splits[split].filepaths]
  key = json.dumps([LAYOUT, label.key, prepared.file_key(folder, tuple(files))])
  digest = hashlib.sha256(key.encode()).hexdigest()[:24]
  path = cache_folder('decoded') / f'{builder.name}-classes-{digest}.json'
  with contextlib.suppress(OSError, ValueError):
    names = json.loads(path.read_text(encoding='utf-8'))
    if isinstance(names, list) and all(isinstance(name, str) for name in names):
      return tuple(names)
  sources = [prepared.source(builder, split) for split in splits]
  values = (block for source in sources for block in blocks(source, label))
  names = classes.class_names(values, f'the labels of {folder}')
  with contextlib.suppress(OSError):
    write(path, names)
  return names


def blocks(source, label: Label) -> Iterator[list]:
  """The raw labels of the records of a split, in blocks."""
  get = decoding.label(label)
  for first in range(0, len(source), BLOCK):
    records = source.__getitems__(list(range(first, min(first + BLOCK, len(source)))))
    yield [get(decoding.parse(record)) for record in records]


def write(path, names: Iterable[str]) -> None:
  """Writes names under a temporary name and renames the file."""
  path.parent.mkdir(parents=True, exist_ok=True)
  handle, temporary = tempfile.mkstemp(prefix='tmp-', dir=path.parent)
  with os.fdopen(handle, 'w', encoding='utf-8') as file:
    json.dump(list(names), file)
  os.replace(temporary, path)
