"""Decodes the image and the label of a record of TFDS."""

import io
import zlib
from collections.abc import Callable

import numpy as np

from vaejax.data.axes import arrange
from vaejax.data.fit import MODES, colour
from vaejax.data.readers import clips, deep, pictures
from vaejax.data.readers.deep import Mismatch
from vaejax.data.readers.features import Label, Picture
from vaejax.data.settings import Settings

FORMATS = 'PNG', 'JPEG', 'BMP', 'GIF'  # those of TFDS; for some others PIL runs programs


def parse(record: bytes):
  """The fields of a record, {key: value}."""
  from tensorflow_datasets.proto import tf_example_pb2

  return tf_example_pb2.Example.FromString(record).features.feature


def image(picture: Picture, settings: Settings, white: int) -> Callable:
  """A function from the fields of a record to its image [h, w, c], in the dtype of rows.

  `white` is the value of white in stored 8-bit images. The function raises Mismatch for an image
  that is not as declared.
  """
  channels = picture.shape[-1] or settings.channels
  if picture.tensor is not None:
    read = lambda fields: tensor(fields, picture)
  elif picture.dtype == np.uint16:
    read = lambda fields: deep.pixels(value(fields[picture.key]))
  elif picture.dtype == np.float32:
    # TFDS stores the four bytes of a number as red, green, blue and alpha.
    read = lambda fields: file(value(fields[picture.key]), 4, None).view(np.float32)
  else:
    drop = settings.channels if channels in (2, 4) and settings.channels in (1, 3) else channels
    below = colour(settings.background)
    read = lambda fields: file(value(fields[picture.key]), drop, below)
  factor = np.uint8(255 // white) if picture.stored == np.uint8 else None

  def decode(fields):
    pixels = read(fields)
    if factor is not None and factor != 1:
      return pixels * factor
    if pixels.dtype == np.float32 and not np.isfinite(pixels).all():
      raise Mismatch('it has numbers that are not finite. Replace them')
    return pixels

  return decode


def value(feature) -> bytes:
  """The single value of a feature of bytes."""
  return feature.bytes_list.value[0]


def file(data: bytes, channels: int, background: tuple[int, int, int] | None) -> np.ndarray:
  """uint8 [h, w, channels] of the bytes of an image file, by PIL's conversion.

  What is transparent is put onto the background if there are 1 or 3 channels. Raises Mismatch for
  more than 8 bits.
  """
  from PIL import Image

  # Not the decoder of TFDS, which takes 1.5 times as long, uses OpenCV if it is installed, whose
  # JPEGs differ, and converts neither palettes nor grey images in a dataset of colour images.
  picture = Image.open(io.BytesIO(data), formats=FORMATS)
  if deep.is_deep(picture):
    raise Mismatch(
      'its pixels have 16 bits, but the dataset declares 8. Convert it, or declare uint16'
    )
  if background is not None and channels in (1, 3):
    picture = pictures.coloured(picture, channels, background)
  elif picture.mode != MODES[channels]:
    picture = picture.convert(MODES[channels])
  pixels = np.frombuffer(picture.tobytes(), np.uint8)
  return pixels.reshape(picture.height, picture.width, channels)


def tensor(fields, picture: Picture) -> np.ndarray:
  """[h, w, c] of a Tensor: 8 bits, 16 bits or float32. Booleans become 0 and 255."""
  feature, shape = picture.tensor, picture.tensor.shape
  if feature._dynamic_shape:
    lengths = fields[f'{picture.key}/shape'].int64_list.value
    shape = tuple(lengths)
  stored = fields[f'{picture.key}/value' if feature._dynamic_shape else picture.key]
  if feature._encoded_to_bytes:
    data = value(stored)
    data = zlib.decompress(data) if feature._encoding.value == 'zlib' else data
    x = np.frombuffer(data, picture.dtype)
  else:
    kind = stored.WhichOneof('kind')
    x = np.asarray(getattr(stored, kind).value)
  x = x.astype(picture.stored, copy=False).reshape([-1 if n is None else n for n in shape])
  x = arrange(x[None], picture.axes)[0]
  return x * np.uint8(255) if picture.dtype == bool else x


def label(declared: Label) -> Callable:
  """A function from the fields of a record to its raw label: a number or bytes of text."""

  def read(fields):
    feature = fields[declared.key]
    return getattr(feature, feature.WhichOneof('kind')).value[0]

  return read


def frames(clip: clips.Clip, count: int) -> Callable:
  """A function from the fields of a record and the number of a frame to `count` frames of its video
  from that one on, uint8 [h, w, c] each."""
  decode = lambda data: file(data, clip.shape[-1], None)
  return lambda fields, start: clips.cut(clip, fields[clip.key], start, count, decode)
