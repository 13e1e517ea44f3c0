"""Opens a dataset that TFDS has prepared, and the records of its splits, without TensorFlow."""

import concurrent.futures
import json
import os
from typing import Any, NamedTuple

from vaejax.data.readers import clips
from vaejax.data.readers.damaged import reading
from vaejax.errors import UserError
from vaejax.plural import counted

FORMAT = 'array_record'


class Records(NamedTuple):
  """The records of a split.

  Attributes:
    source: __getitems__(list of indices) returns the raw bytes of those records.
    size: number of records.
    files: the files of the prepared split that contains the records.
    name: the split as TFDS names it, such as 'train[:90]'.
    notes: lines for the user.
  """

  source: Any
  size: int
  files: tuple[str, ...]
  name: str
  notes: tuple[str, ...] = ()

  @property
  def bytes(self) -> int:
    """The size of the files."""
    return sum(os.path.getsize(path) for path in self.files)


def open_builder(folder: str):
  """A TFDS builder of a version's folder. Raises UserError if it is not stored as array_record."""
  import tensorflow_datasets

  with open(os.path.join(folder, 'features.json'), 'rb') as file:
    refuse_code(json.load(file))
  with clips.without_tensorflow():
    builder = tensorflow_datasets.builder_from_directory(folder)
  formats = sorted(f.value for f in builder.info.available_file_formats())
  if FORMAT not in formats:
    raise UserError(
      f'{folder} is stored as {", ".join(formats)}, which only TensorFlow reads. Prepare it again '
      f'on a machine with TensorFlow by `tfds build --file_format={FORMAT}`'
    )
  # For datasets that are stored in several formats. Giving the format when opening is an error.
  builder.info.set_file_format(FORMAT, override=True, override_if_initialized=True)
  return builder


def refuse_code(node: object) -> None:
  """Raises UserError if features.json names a class outside of TFDS, because TFDS would import its
  module."""
  for key, value in node.items() if isinstance(node, dict) else ():
    is_class = key in ('type', 'pythonClassName', 'python_class_name') and isinstance(value, str)
    if is_class and not value.startswith('tensorflow_datasets.'):
      raise UserError(
        f'features.json names the class {value}, which is not one of TFDS. Such datasets are not '
        'read, because opening them would run its code'
      )
    refuse_code(value)
  for value in node if isinstance(node, list) else ():
    refuse_code(value)


def records(builder, split: str) -> Records:
  """The records of a split, with the splits of `tfds.table`. Raises UserError if there is no such
  split, or if it is empty or incomplete."""
  splits = builder.info.splits
  base = 'validation' if split == 'test' and 'test' not in splits else split
  base = 'train' if base == 'validation' and base not in splits and split == 'test' else base
  if base not in splits:
    raise UserError(f'{builder.data_dir} has no split {split!r}. Choose one of {", ".join(splits)}')
  total, part, notes = splits[base].num_examples, base, ()
  if split in ('train', 'test') and not {'test', 'validation'} & set(splits):
    if total == 1:
      notes = (f'{builder.info.full_name} has one example, which is both train and test',)
    else:
      kept = total - max(total // 10, 1)
      part = f'train[:{kept}]' if split == 'train' else f'train[{kept}:]'
  if not splits[part].num_examples:
    raise UserError(f'{builder.data_dir}: split {split!r} has no rows')
  files = tuple(os.fspath(path) for path in splits[base].filepaths)
  check_files(builder.data_dir, files, splits[base].shard_lengths)
  return Records(source(builder, part), splits[part].num_examples, files, part, notes)


def source(builder, part: str):
  """The raw records of a split or a slice, as TFDS names it."""
  from tensorflow_datasets.core.decode import DeserializeMethod

  return builder.as_data_source(part, deserialize_method=DeserializeMethod.RAW_BYTES)


def check_files(folder: str, files: tuple[str, ...], declared: list[int]) -> None:
  """Raises UserError if a file is missing, or has another number of records than declared."""
  from array_record.python.array_record_module import ArrayRecordReader

  if missing := [path for path in files if not os.path.isfile(path)]:
    raise UserError(
      f'{folder} is incomplete: {os.path.basename(missing[0])} is missing. Prepare the dataset '
      'again'
    )

  def count_records(path):
    with reading(f'{folder}, {os.path.basename(path)}', Exception):
      reader = ArrayRecordReader(path)
      count = reader.num_records()
      reader.close()
      return count

  # In threads, because a large dataset can have a thousand files on a network disk.
  with concurrent.futures.ThreadPoolExecutor(16) as pool:
    counts = list(pool.map(count_records, files))
  for path, actual, count in zip(files, counts, declared, strict=True):
    if actual != count:
      raise UserError(
        f'{path} has {counted(actual, "record")}, but dataset_info.json of its folder '
        f'declares {count:,}. Prepare the dataset again'
      )


def file_key(folder: str, files: tuple[str, ...]) -> list:
  """A key that changes with the source: its path, and the names, sizes and times of its files."""
  files = (*(os.path.join(folder, f) for f in ('dataset_info.json', 'features.json')), *files)
  stats = [(os.path.basename(f), os.stat(f)) for f in files]
  return [os.path.realpath(folder), *([n, s.st_size, s.st_mtime_ns] for n, s in stats)]
