"""Reads any TFDS dataset of images or videos, by name or directory, without TensorFlow."""

import os

import jax
import numpy as np

from vaejax import units
from vaejax.data import classes, decoded, fingerprint, real, sets
from vaejax.data.fit import check_settings, fit_image, fitted_shape
from vaejax.data.prepare.locate import locate
from vaejax.data.readers import clips, decoding, deep, features, label_names, record_windows
from vaejax.data.readers.damaged import reading
from vaejax.data.readers.prepared import file_key, open_builder, records
from vaejax.data.settings import Settings
from vaejax.data.table import Table
from vaejax.errors import UserError

DEFAULT = Settings()
_THREADED_PIXELS = 64 * 64  # area of an image from which decoding in threads is faster
_LABEL_BYTES = 2**30  # larger files are not read for the labels alone
_UNIT_ROWS = 64, 4096  # fewest and most training rows to which units are fitted


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
    settings: see data.settings.
    data_dir: default TFDS_DATA_DIR, else the default of TFDS.

  Returns:
    A table of 'image' [H, W, C], uint8, uint16 or float32, or 'video' uint8 [T, H, W, C], and
    'label' int32 [] if the dataset has labels. `load` returns memory maps. `fetch` decodes rows and
    can be called from several threads.

  Raises:
    UserError: there is no such dataset or split, it has no images or videos, or it is damaged.
  """
  size, channels, fit, frames = settings.size, settings.channels, settings.fit, settings.frames
  check_settings(size, channels, fit)
  folder = locate(name, data_dir)
  with reading(folder, Exception):
    builder = open_builder(folder)
    all_features = features.flat(builder.info.features)
    clip = clips.find(of_field(builder.info.features, settings.field)) if frames else None
    if clip:
      clips.check_length(clip, frames, folder)
    picture = None if clip else features.picture(all_features, settings, folder)
    label, notes = features.label(all_features, settings, folder)
    notes = (picture.axes.note, *notes) if picture and picture.axes.note else notes
    h, w, c = (clip or picture).shape
    if size is None and None in (h, w):
      raise UserError(f'the images of {folder} differ in size. Set data.size')
    if not c and not channels:
      raise UserError(f'the images of {folder} differ in channels. Set data.channels to 1 or 3')
    of_split = records(builder, split)
    windows = record_windows.find(clip, of_split, settings, folder) if clip else None
    names = label_names.read(builder, label, folder) if label and label.classes is None else ()
  white = getattr(sets.find(builder.name), 'WHITE', 255)
  data, length = ('video', (frames,)) if clip else ('image', ())
  shape = (*length, *fitted_shape((h, w, c), size, channels))
  row = {data: jax.ShapeDtypeStruct(shape, np.uint8 if clip else picture.stored)}
  if label:
    row['label'] = jax.ShapeDtypeStruct((), np.int32)
  decode_frames = decoding.frames(clip, frames) if clip else None
  decode_image = decoding.image(picture, settings, white) if picture else None
  decode_label = decoding.label(label) if label else None
  origin = f'{builder.info.full_name} {split}'

  def read_image(fields, row):
    frames = decode_frames(fields, windows.start[row]) if clip else [decode_image(fields)]
    frames = [fit_image(frame, size, channels, fit, settings.background) for frame in frames]
    if wrong := [x.shape for x in frames if x.shape != shape[-3:]]:
      raise deep.Mismatch(f'it is {list(wrong[0])}, but the dataset is {list(shape[-3:])}')
    return np.reshape(frames, shape)

  def to_classes(values):
    if label.classes is None:
      return classes.encode(values, names, f'the labels of {folder}')[0]
    numbers = np.asarray(values, np.int32)
    classes.check(numbers, label.classes, origin)
    return numbers

  def fetch(indices):
    out = {k: np.empty((len(indices), *v.shape), v.dtype) for k, v in row.items()}
    with reading(f'{folder}, {of_split.name}', Exception):
      places = windows.record[indices] if clip else indices
      fields = [decoding.parse(r) for r in of_split.source.__getitems__([int(i) for i in places])]
    for i, index in enumerate(indices):
      with reading(f'{folder}, {of_split.name}, row {index}', Exception):
        try:
          out[data][i] = read_image(fields[i], index)
        except deep.Mismatch as error:
          raise UserError(f'row {index} of {origin} in {folder}: {error}') from None
    if label and len(indices):
      out['label'] = to_classes([decode_label(f) for f in fields])
    return out

  def load():
    key = [file_key(folder, of_split.files), of_split.name, size, channels, size and fit]
    key += [picture.axes.first if picture else False]
    key += [settings.background, settings.field, settings.label, *length, settings.stride]
    small = None not in (h, w) and h * w < _THREADED_PIXELS
    threads = 1 if small else min(os.cpu_count() or 1, 16)
    row_bytes = fingerprint.row_bytes(row)
    blocks = lambda: decoded.blocks(fetch, count, row_bytes, threads)
    return decoded.load(f'{builder.name}-{of_split.name}', key, row, count, blocks)

  def labels():
    key = [file_key(folder, of_split.files), of_split.name, settings.label]
    values = lambda: label_names.blocks(of_split.source, label)
    blocks = lambda: ({'label': to_classes(block)} for block in values())
    spec = {'label': row['label']}
    stored = decoded.load(f'{builder.name}-labels', key, spec, of_split.size, blocks)['label']
    return stored[windows.record] if clip else stored

  levels = 256 if clip else picture.levels
  count = len(windows.record) if clip else of_split.size
  result = Table(
    count,
    row,
    (label.classes or len(names)) if label else None,
    load,
    fetch,
    origin=origin,
    levels=levels,
    class_names=(names or label.names) if label else (),
    content=fingerprint.content(count, row, fetch),
    notes=(*notes, *of_split.notes, *(windows.notes if clip else ())),
    labels=labels if label and of_split.bytes <= _LABEL_BYTES else None,
    groups=(lambda: windows.record) if clip else None,
  )
  if row[data].dtype == np.uint8:
    return result
  train = result if split == 'train' else table(name, 'train', settings, data_dir)
  return result._replace(units=fit_units(result, settings) if train is result else train.units)


def of_field(features, field: str) -> dict:
  """The features of a dataset, or only the one that `data.field` names."""
  return {k: f for k, f in features.items() if not field or k == field.split('/')[0]}


def fit_units(train: Table, settings: Settings) -> units.Units:
  """The Units of a training split, fitted to evenly spaced rows. Raises UserError if
  `data.transform` does not fit them."""
  elements = int(np.prod(train.row['image'].shape))
  count = int(np.clip(units.MAX_ELEMENTS // elements, *_UNIT_ROWS))
  index = np.unique(np.linspace(0, train.size - 1, min(count, train.size)).astype(np.int64))
  rows = train.fetch(index)['image']
  return real.fit_units(rows, settings)


def splits(name: str, settings: Settings = DEFAULT, data_dir: str | None = None) -> tuple[str, ...]:
  """The splits of a dataset as `table` reads them: always with 'test', and without a 'validation'
  that replaces a missing 'test'. Raises UserError if there is no such dataset."""
  folder = locate(name, data_dir)
  with reading(folder, Exception):
    stored = tuple(open_builder(folder).info.splits)
  if 'test' in stored:
    return stored
  return (*(split for split in stored if split != 'validation'), 'test')
