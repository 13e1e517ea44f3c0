"""Any TFDS dataset of images or videos, by name or by directory, without TensorFlow."""

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator

import jax
import numpy as np

from vaejax.data import clips, decoded, sets
from vaejax.data.fit import MODES, check, fitted
from vaejax.data.fit import fit as fit_image
from vaejax.data.locate import locate
from vaejax.data.table import Table
from vaejax.errors import UserError

_FORMATS = ('PNG', 'JPEG', 'BMP', 'GIF')  # what TFDS stores; PIL runs programs for some others
_THREADED = 64 * 64  # pixels from which decoding in threads is faster


def table(
  name: str,
  split: str,
  data_dir: str | None = None,
  size: int | None = None,
  channels: int | None = None,
  fit: str = 'resize',
  frames: int | None = None,
) -> Table:
  """Reads one split of a dataset that TFDS has prepared as array_record.

  Args:
    name: 'name', 'name/config' or 'name:version' in data_dir, or a directory: a version's folder or
      its parent. mnist, fashion_mnist, kmnist and cifar10 are prepared where they are missing.
    split: one that the set has, or 'test' of any set that has 'train': where there is no 'test' it
      is 'validation', and without that the last 10 % of 'train', whose 'train' then is the rest.
    data_dir: default TFDS_DATA_DIR, else TFDS's own.
    size, channels, fit: see `fit.fit`; None keeps what the set has.
    frames: cut the videos of a set that has some to so many; None reads its images.

  Returns:
    'image' uint8 [H, W, C], or 'video' uint8 [T, H, W, C], and, where the set has class labels,
    'label' int32 []. `load` gives memory-mapped arrays; `fetch` decodes the rows it is asked for,
    from any number of threads.

  Raises:
    UserError: no such set or split, neither images nor videos, or a broken one.
  """
  check(size, channels, fit)
  folder = locate(name, data_dir)
  with _reading(folder):
    builder = _open(folder)
    features = builder.info.features
    clip = clips.find(features) if frames else None
    if clip:
      clips.check(clip, frames, folder)
    image = None if clip else _image(features, folder)
    label = _label(features)
    h, w, c = clip.shape if clip else features[image].shape
    if size is None and None in (h, w):
      raise UserError(f'{folder}: its images differ in size: set data.size')
    if not c and not channels:
      raise UserError(f'{folder}: its images differ in channels: set data.channels')
    source, rows, paths = _rows(builder, split)
  white = getattr(sets.find(builder.name), 'WHITE', 255)
  data, shape = ('video', (frames,)) if clip else ('image', ())
  shape = (*shape, *fitted((h, w, c), size, channels))
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
        pictures = [_exact(fit_image(p, size, channels, fit), shape[-3:]) for p in pictures]
        out[data][i] = np.reshape(pictures, shape)
        if label:
          out['label'][i] = number
    return out

  def load():
    key = [_fingerprint(folder, paths), source.split, size, channels, size and fit]
    key += [frames] if clip else []
    threads = 1 if None not in (h, w) and h * w < _THREADED else min(os.cpu_count() or 1, 16)
    bulk = lambda: decoded.blocks(fetch, rows, int(np.prod(shape)), threads)
    return decoded.load(f'{builder.name}-{source.split}', key, row, rows, bulk)

  classes = features[label].num_classes if label else None
  origin = f'{builder.info.full_name} {source.split}'
  return Table(rows, row, classes, load, fetch, origin=origin)


def splits(name: str, data_dir: str | None = None) -> tuple[str, ...]:
  """The splits that a set has as they are used here: any has a 'test' where it has a 'train', and a
  'validation' unless that stands for a missing 'test'. Raises UserError where there is no such set.
  """
  folder = locate(name, data_dir)
  with _reading(folder):
    found = tuple(_open(folder).info.splits)
  if 'test' in found:
    return found
  return (*(split for split in found if split != 'validation'), 'test')


def _open(folder: str):
  """A TFDS builder of a version's folder. UserError where it is not array_record."""
  import tensorflow_datasets

  with open(os.path.join(folder, 'features.json')) as file:
    _refuse_code(json.load(file))
  with clips.without_tensorflow():
    builder = tensorflow_datasets.builder_from_directory(folder)
  formats = sorted(f.value for f in builder.info.available_file_formats())
  if 'array_record' not in formats:
    raise UserError(
      f'{folder} is stored as {", ".join(formats)}, which only TensorFlow reads: prepare it again '
      'elsewhere, with --file_format=array_record'
    )
  # A set that is there in several formats takes this one; to ask for it when opening is an error.
  builder.info.set_file_format('array_record', override=True, override_if_initialized=True)
  return builder


def _refuse_code(node: object) -> None:
  """UserError where features.json names a class outside of TFDS, whose module TFDS would import."""
  for key, value in node.items() if isinstance(node, dict) else ():
    named = key in ('type', 'pythonClassName', 'python_class_name') and isinstance(value, str)
    if named and not value.startswith('tensorflow_datasets.'):
      raise UserError(f'features.json names the class {value}, which is not one of TFDS')
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
      'a video: take a config of videos, with data.frames' if clips.find(features) else 'none'
    )
    raise UserError(f'{folder}: one image feature is needed, it has {has}')
  if features[image].np_dtype != np.uint8 or len(features[image].shape) != 3:
    kind, shape = np.dtype(features[image].np_dtype), features[image].shape
    raise UserError(f'{folder}: images must be uint8 [H, W, C], they are {kind} {list(shape)}')
  return image


def _label(features) -> str | None:
  """The name of the label feature, None where there is none."""
  from tensorflow_datasets.core.features import ClassLabel

  labels = sorted(k for k, v in features.items() if isinstance(v, ClassLabel))
  label = 'label' if 'label' in labels else labels[0] if len(labels) == 1 else None
  return label if label and features[label].num_classes else None


def _rows(builder, split: str) -> tuple:
  """A split's source of raw records, their number, and the files that they lie in."""
  from tensorflow_datasets.core.decode import DeserializeMethod

  splits = builder.info.splits
  base = 'validation' if split == 'test' and 'test' not in splits else split
  base = 'train' if base == 'validation' and base not in splits and split == 'test' else base
  if base not in splits:
    raise UserError(f'{builder.data_dir} has no split {split!r}: it has {", ".join(splits)}')
  total, part = splits[base].num_examples, base
  if split in ('train', 'test') and not {'test', 'validation'} & set(splits):
    kept = total - max(total // 10, 1)
    part = f'train[:{kept}]' if split == 'train' else f'train[{kept}:]'
  rows, paths = splits[part].num_examples, [os.fspath(p) for p in splits[base].filepaths]
  if not rows:
    raise UserError(f'{builder.data_dir}: split {split!r} has no rows')
  if gone := [p for p in paths if not os.path.isfile(p)]:
    raise UserError(f'{builder.data_dir} is not whole: {os.path.basename(gone[0])} is missing')
  method = DeserializeMethod.RAW_BYTES
  return builder.as_data_source(part, deserialize_method=method), rows, paths


def _decoder(clip, frames, image: str | None, label: str | None, channels: int) -> Callable:
  """Gives a function from a record's bytes to (its frames or its one image, uint8
  [h, w, channels] each, and its label or None)."""
  from PIL import Image
  from tensorflow_datasets.proto import tf_example_pb2

  # Not TFDS's own decoding: it is slower by half, takes OpenCV where it finds it, whose JPEGs
  # differ, and leaves palettes, and grey images in a set of colour, as they are.
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


def _exact(image: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
  """The image, or ValueError where it has not the shape that the set declares."""
  if image.shape != shape:
    raise ValueError(f'an image of {list(image.shape)} in a set of {list(shape)}')
  return image


def _fingerprint(folder: str, paths: list[str]) -> list:
  """What changes when the source does: where it is, and its files' names, sizes and times."""
  files = [os.path.join(folder, f) for f in ('dataset_info.json', 'features.json')] + paths
  stats = [(os.path.basename(f), os.stat(f)) for f in files]
  return [os.path.realpath(folder), *([n, s.st_size, s.st_mtime_ns] for n, s in stats)]


@contextlib.contextmanager
def _reading(what: str) -> Iterator[None]:
  """Whatever goes wrong in reading files that others wrote is a UserError of one line."""
  try:
    yield
  except UserError:
    raise
  except Exception as error:
    line = (str(error).splitlines() or [''])[0]
    raise UserError(f'cannot read {what}: damaged? {type(error).__name__}: {line}') from error
