"""Finds the video feature of a TFDS dataset: a Video, a sequence of images, or a tensor of
bytes."""

import contextlib
import math
import zlib
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from vaejax.errors import UserError
from vaejax.plural import counted

# If there are several videos, the first of these is used, or else the first by name.
NAMES = ('video', 'image_sequence', 'frames', 'image', 'image_main')


class Clip(NamedTuple):
  """A video feature.

  Attributes:
    key: the key of the frames in a record.
    shape: the shape (h, w, c) of a frame; None for sizes that vary.
    length: the number of frames of every video; None if it varies.
    encoded: whether frames are image files, rather than the video one Tensor of uint8.
    zipped: whether a Tensor is compressed by zlib.
  """

  key: str
  shape: tuple[int | None, ...]
  length: int | None
  encoded: bool
  zipped: bool = False


@contextlib.contextmanager
def without_tensorflow():
  """Lets TFDS create its Video features without TensorFlow, which it only needs for a dtype."""
  from tensorflow_datasets.core.features import feature, video_feature

  stub = SimpleNamespace(dtypes=SimpleNamespace(as_dtype=np.dtype))
  modules = (feature, video_feature)
  before = [module.tf for module in modules]
  for module in modules:
    module.tf = stub
  try:
    yield
  finally:
    for module, tf in zip(modules, before, strict=True):
      module.tf = tf


def find(features) -> Clip | None:
  """The video feature of a dataset: a Video or Sequence of Image, a Sequence with an Image among
  its fields, or a Tensor uint8 [T, H, W, C]. None if there is none."""
  from tensorflow_datasets.core.features import FeaturesDict, Image, Sequence, Tensor

  videos = {}
  for name, feature in features.items():
    if isinstance(feature, Sequence):
      inner = feature.feature
      fields = inner.items() if isinstance(inner, FeaturesDict) else [('', inner)]
      for field, image in fields:
        if isinstance(image, Image) and image.np_dtype == np.uint8 and len(image.shape) == 3:
          length = feature.shape[0] if not field else feature._length
          videos[f'{name}/{field}'.rstrip('/')] = (image.shape, length, True)
    elif type(feature) is Tensor and feature.np_dtype == np.uint8 and len(feature.shape) == 4:
      if None in feature.shape[1:]:
        continue
      is_zipped = feature._encoding.value == 'zlib'
      videos[name] = (feature.shape[1:], feature.shape[0], False, is_zipped)
  last = lambda key: key.split('/')[-1]
  rank = lambda key: (NAMES.index(last(key)) if last(key) in NAMES else len(NAMES), key)
  key = min(videos, key=rank, default=None)
  return None if key is None else Clip(key, *videos[key])


def check_length(clip: Clip, frames: int, folder: str) -> None:
  """Raises UserError if the videos of a dataset are known to be shorter than `frames`."""
  if clip.length is not None and clip.length < frames:
    raise UserError(
      f'data.frames={frames} is too long: the videos of {folder} have '
      f'{counted(clip.length, "frame")}. Give at most {clip.length}'
    )


def count(clip: Clip, feature) -> int:
  """The number of frames of a video, the value of `clip.key` in a record."""
  if clip.encoded:
    return len(feature.bytes_list.value)
  return tensor(clip, feature).size // math.prod(clip.shape)


def cut(clip: Clip, feature, start: int, frames: int, decode) -> list[np.ndarray]:
  """Frames of a video from the frame `start`, uint8 [h, w, c] each.

  Args:
    feature: the value of `clip.key` in a record.
    decode: the bytes of an image file -> uint8 [h, w, c].
  """
  stop = start + frames
  if clip.encoded:
    return [decode(data) for data in feature.bytes_list.value[start:stop]]
  return list(tensor(clip, feature).reshape(clip.length or -1, *clip.shape)[start:stop])


def tensor(clip: Clip, feature) -> np.ndarray:
  """The values uint8 [N] of a Tensor."""
  if feature.int64_list.value:
    return np.asarray(feature.int64_list.value, np.uint8)
  data = feature.bytes_list.value[0]
  return np.frombuffer(zlib.decompress(data) if clip.zipped else data, np.uint8)
