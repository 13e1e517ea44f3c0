"""Which feature of a TFDS set is its video: a Video, a sequence of images, or a block of bytes."""

import contextlib
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np

from vaejax.errors import UserError

# Of several videos the first of these is taken, else the first by name.
NAMES = ('video', 'image_sequence', 'frames', 'image', 'image_main')


class Clip(NamedTuple):
  """A video feature.

  Attributes:
    key: where a record has its frames.
    shape: of a frame, (h, w, c), None where they differ.
    length: frames of every video, None where they differ.
    encoded: frames are image files; else the video is one Tensor of uint8.
  """

  key: str
  shape: tuple[int | None, ...]
  length: int | None
  encoded: bool


@contextlib.contextmanager
def without_tensorflow():
  """Lets TFDS make its Video features without TensorFlow, which it asks for the dtype alone."""
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
  """The video among a set's features: a Video or Sequence of Image, a Sequence with an Image among
  its fields, or a Tensor uint8 [T, H, W, C]; None where there is none."""
  from tensorflow_datasets.core.features import FeaturesDict, Image, Sequence, Tensor

  found = {}
  for name, feature in features.items():
    if isinstance(feature, Sequence):
      inner = feature.feature
      fields = inner.items() if isinstance(inner, FeaturesDict) else [('', inner)]
      for field, image in fields:
        if isinstance(image, Image) and image.np_dtype == np.uint8 and len(image.shape) == 3:
          length = feature.shape[0] if not field else feature._length
          found[f'{name}/{field}'.rstrip('/')] = (image.shape, length, True)
    elif type(feature) is Tensor and feature.np_dtype == np.uint8 and len(feature.shape) == 4:
      found[name] = (feature.shape[1:], feature.shape[0], False)
  last = lambda key: key.split('/')[-1]
  rank = lambda key: (NAMES.index(last(key)) if last(key) in NAMES else len(NAMES), key)
  key = min(found, key=rank, default=None)
  return None if key is None else Clip(key, *found[key])


def check(clip: Clip, frames: int, folder: str) -> None:
  """Raises UserError where a set's videos are known to be shorter than `frames`."""
  if clip.length is not None and clip.length < frames:
    raise UserError(
      f'data.frames={frames}: the videos of {folder} have {clip.length} frames: give fewer'
    )


def cut(clip: Clip, feature, frames: int, decode) -> list[np.ndarray]:
  """The first `frames` frames of a record's feature, uint8 [h, w, c] each.

  Args:
    feature: what the record has at `clip.key`.
    decode: an image file's bytes -> uint8 [h, w, c].

  Raises:
    UserError: a video is shorter.
  """
  if clip.encoded:
    found = [decode(data) for data in feature.bytes_list.value[:frames]]
  else:
    values = feature.int64_list.value or np.frombuffer(feature.bytes_list.value[0], np.uint8)
    shape = (clip.length or -1, *clip.shape)
    found = list(np.array(values, np.uint8).reshape(shape)[:frames])
  if len(found) < frames:
    raise UserError(f'data.frames={frames}: a video has {len(found)} frames: give fewer')
  return found
