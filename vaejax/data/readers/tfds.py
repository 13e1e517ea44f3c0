"""Reads any TFDS dataset of images or videos, by name or directory, without TensorFlow."""

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator

import jax
import numpy as np

from vaejax.data import decoded, sets
from vaejax.data.fit import MODES, check_settings, fit_image, fitted_shape
from vaejax.data.locate import locate
from vaejax.data.readers import clips
from vaejax.data.settings import Settings
from vaejax.data.table import Table
from vaejax.errors import UserError

_FORMATS = ('PNG', 'JPEG', 'BMP', 'GIF')  # those of TFDS; for some others PIL runs programs
DEFAULT = Settings()
_THREADED_PIXELS = 64 * 64  # image size from which decoding in threads is faster


def table(
  name: str,
  split: str,
  settings: Settings = DEFAULT,
  data_dir: str | None = None,
) -> Table:
  """One split of a dataset that TFDS has prepared as array_record.

  Args:
    name: 'name', 'name/config' or 'name:version' in data_dir, or a directory: a version's folder or
      its parent. Missing official datasets are prepared (see official.py).
    split: a split of the dataset. Every dataset with 'train' also has 'test': without one it is
      'validation', or else the last 10 % of 'train', and 'train' is the rest.
    settings: see there.
    data_dir: default TFDS_DATA_DIR, else the default of TFDS.

  Returns:
    A table of 'image' uint8 [H, W, C] or 'video' uint8 [T, H, W, C], and 'label' int32 [] if the
    dataset has class labels. `load` returns memory maps. `fetch` decodes rows and can be called
    from several threads.

  Raises:
    UserError: there is no such dataset or split, it has no images or videos, or it is damaged.
  """
  size, channels, fit, frames = (settings.size, settings.channels, settings.fit, settings.frames)
  check_settings(size, channels, fit)
  folder = locate(name, data_dir)
  with _reading(folder):
    builder = _open(folder)
    features = builder.info.features
    clip = clips.find(features) if frames else None
    if clip:
      clips.check_length(clip, frames, folder)
    image = None if clip else _image(features, folder)
    label = _label(features)
    h, w, c = clip.shape if clip else features[image].shape
    if size is None and None in (h, w):
      raise UserError(f'the images of {folder} differ in size. Set data.size')
    if not c and not channels:
      raise UserError(f'the images of {folder} differ in channels. Set data.channels to 1 or 3')
    source, rows, paths = _rows(builder, split)
  white = getattr(sets.find(builder.name), 'WHITE', 255)
  data, shape = ('video', (frames,)) if clip else ('image', ())
  shape = (*shape, *fitted_shape((h, w, c), size, channels))
  row = {data: jax.ShapeDtypeStruct(shape, np.uint8)}
  if label:
    row['label'] = jax.ShapeDtypeStruct((), np.int32)
  decode = _decoder(clip, frames, image, label, c or channels)

  def fetch(indices):
    out = {k: np.empty((len(indices), *v.shape), v.dtype) for k, v in row.items()}
    with _reading(f'{folder}, {source.split}'):
      records = source.__getitems__([int(i) for i in indices])
      for i, record in enumerate(records):
        pictures, number = decode(record)
        if white != 255:
          pictures = [pixels * np.uint8(255 // white) for pixels in pictures]
        pictures = [fit_image(p, size, channels, fit) for p in pictures]
        if wrong := [p.shape for p in pictures if p.shape != shape[-3:]]:
          raise ValueError(f'an image of {list(wrong[0])} in a dataset of {list(shape[-3:])}')
        out[data][i] = pictures if clip else pictures[0]
        if label:
          out['label'][i] = number
    return out

  def load():
    key = [_fingerprint(folder, paths), source.split, size, channels, size and fit]
    key += [frames] if clip else []
    small = None not in (h, w) and h * w < _THREADED_PIXELS
    threads = 1 if small else min(os.cpu_count() or 1, 16)
    blocks = lambda: decoded.blocks(fetch, rows, int(np.prod(shape)), threads)
    return decoded.load(f'{builder.name}-{source.split}', key, row, rows, blocks)

  classes = features[label].num_classes if label else None
  origin = f'{builder.info.full_name} {source.split}'
  # Names and sizes of the files, until their bytes are read too.
  files = [[os.path.basename(p), os.path.getsize(p)] for p in paths]
  content = lambda: {data: json.dumps(files)}
  return Table(rows, row, classes, load, fetch, origin=origin, content=content)


def splits(name: str, settings: Settings = DEFAULT, data_dir: str | None = None) -> tuple[str, ...]:
  """The splits of a dataset as `table` reads them: always with 'test', and without a 'validation'
  that replaces a missing 'test'. Raises UserError if there is no such dataset."""
  folder = locate(name, data_dir)
  with _reading(folder):
    stored = tuple(_open(folder).info.splits)
  if 'test' in stored:
    return stored
  return (*(split for split in stored if split != 'validation'), 'test')


def _open(folder: str):
  """A TFDS builder of a version's folder. Raises UserError if it is not stored as array_record."""
  import tensorflow_datasets

  with open(os.path.join(folder, 'features.json')) as file:
    _refuse_code(json.load(file))
  with clips.without_tensorflow():
    builder = tensorflow_datasets.builder_from_directory(folder)
  formats = sorted(f.value for f in builder.info.available_file_formats())
  if 'array_record' not in formats:
    raise UserError(
      f'{folder} is stored as {", ".join(formats)}, which only TensorFlow reads. Prepare it again '
      'on a machine with TensorFlow by `tfds build --file_format=array_record`'
    )
  # For datasets that are stored in several formats. Giving the format when opening is an error.
  builder.info.set_file_format('array_record', override=True, override_if_initialized=True)
  return builder


def _refuse_code(node: object) -> None:
  """Raises UserError if features.json names a class outside of TFDS, because TFDS would import its
  module."""
  for key, value in node.items() if isinstance(node, dict) else ():
    is_class = key in ('type', 'pythonClassName', 'python_class_name') and isinstance(value, str)
    if is_class and not value.startswith('tensorflow_datasets.'):
      raise UserError(
        f'features.json names the class {value}, which is not one of TFDS. Such datasets are not '
        'read, because opening them would run its code'
      )
    _refuse_code(value)
  for value in node if isinstance(node, list) else ():
    _refuse_code(value)


def _image(features, folder: str) -> str:
  """The name of the image feature."""
  from tensorflow_datasets.core.features import Image

  images = sorted(k for k, v in features.items() if isinstance(v, Image))
  image = 'image' if 'image' in images else images[0] if len(images) == 1 else None
  if image is None:
    has = ', '.join(images) or (
      'a video. Use a config of videos, with data.frames' if clips.find(features) else 'none'
    )
    raise UserError(f'{folder}: one image feature is needed, but it has {has}')
  if features[image].np_dtype != np.uint8 or len(features[image].shape) != 3:
    kind, shape = np.dtype(features[image].np_dtype), features[image].shape
    raise UserError(f'{folder}: images must be uint8 [H, W, C], but are {kind} {list(shape)}')
  return image


def _label(features) -> str | None:
  """The name of the label feature; None if there is none."""
  from tensorflow_datasets.core.features import ClassLabel

  labels = sorted(k for k, v in features.items() if isinstance(v, ClassLabel))
  label = 'label' if 'label' in labels else labels[0] if len(labels) == 1 else None
  return label if label and features[label].num_classes else None


def _rows(builder, split: str) -> tuple:
  """The data source of a split's raw records, their number, and their files."""
  from tensorflow_datasets.core.decode import DeserializeMethod

  splits = builder.info.splits
  base = 'validation' if split == 'test' and 'test' not in splits else split
  base = 'train' if base == 'validation' and base not in splits and split == 'test' else base
  if base not in splits:
    raise UserError(f'{builder.data_dir} has no split {split!r}. Choose one of {", ".join(splits)}')
  total, part = splits[base].num_examples, base
  if split in ('train', 'test') and not {'test', 'validation'} & set(splits):
    kept = total - max(total // 10, 1)
    part = f'train[:{kept}]' if split == 'train' else f'train[{kept}:]'
  rows, paths = splits[part].num_examples, [os.fspath(p) for p in splits[base].filepaths]
  if not rows:
    raise UserError(f'{builder.data_dir}: split {split!r} has no rows')
  if missing := [p for p in paths if not os.path.isfile(p)]:
    raise UserError(
      f'{builder.data_dir} is incomplete: {os.path.basename(missing[0])} is missing. Prepare the '
      'dataset again'
    )
  method = DeserializeMethod.RAW_BYTES
  return builder.as_data_source(part, deserialize_method=method), rows, paths


def _decoder(clip, frames, image: str | None, label: str | None, channels: int) -> Callable:
  """A function from a record's bytes to (its images, its label or None). The images, uint8
  [h, w, channels] each, are the frames of a video or a single image."""
  from PIL import Image
  from tensorflow_datasets.proto import tf_example_pb2

  # Not the decoder of TFDS, which takes 1.5 times as long, uses OpenCV if it is installed, whose
  # JPEGs differ, and converts neither palettes nor grey images in a dataset of colour images.
  def decode(data):
    picture = Image.open(io.BytesIO(data), formats=_FORMATS)
    if picture.mode[0] in 'IF':
      raise ValueError(f'its pixels are {picture.mode}, not 8 bits')
    if picture.mode != MODES[channels]:
      picture = picture.convert(MODES[channels])
    pixels = np.frombuffer(picture.tobytes(), np.uint8)
    return pixels.reshape(picture.height, picture.width, channels)

  def read(record):
    example = tf_example_pb2.Example.FromString(record).features.feature
    number = example[label].int64_list.value[0] if label else None
    if clip:
      return clips.cut(clip, example[clip.key], frames, decode), number
    return [decode(example[image].bytes_list.value[0])], number

  return read


def _fingerprint(folder: str, paths: list[str]) -> list:
  """A key that changes with the source: its path, and the names, sizes and times of its files."""
  files = [os.path.join(folder, f) for f in ('dataset_info.json', 'features.json')] + paths
  stats = [(os.path.basename(f), os.stat(f)) for f in files]
  return [os.path.realpath(folder), *([n, s.st_size, s.st_mtime_ns] for n, s in stats)]


@contextlib.contextmanager
def _reading(source: str) -> Iterator[None]:
  """Turns any error in reading files that others wrote into a UserError of one line."""
  try:
    yield
  except UserError:
    raise
  except Exception as error:
    line = (str(error).splitlines() or [''])[0]
    raise UserError(f'cannot read {source}: damaged? {type(error).__name__}: {line}') from error
