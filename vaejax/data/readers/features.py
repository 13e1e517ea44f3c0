"""Finds the image and the label among the features of a TFDS dataset."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from vaejax.data import axes
from vaejax.data.axes import Axes
from vaejax.data.readers import clips
from vaejax.data.settings import NO_LABEL, Settings
from vaejax.errors import UserError

LEVELS = {'bool': 2, 'uint8': 256, 'uint16': 65536}


class Picture(NamedTuple):
  """An image feature.

  Attributes:
    key: its name in a record.
    shape: (h, w, c); None for sizes that vary. c is 1 for a feature [H, W].
    dtype: as declared.
    tensor: the feature if it is a Tensor; None for image files.
    axes: the axes of a Tensor.
  """

  key: str
  shape: tuple[int | None, ...]
  dtype: np.dtype
  tensor: object = None
  axes: Axes = axes.Axes()

  @property
  def stored(self) -> np.dtype:
    """The dtype of rows: 8 bits, 16 bits, or else float32."""
    names = {'bool': 'uint8', 'uint8': 'uint8', 'uint16': 'uint16'}
    return np.dtype(names.get(self.dtype.name, 'float32'))

  @property
  def levels(self) -> int:
    """The number of values of an element, 0 for real numbers."""
    return LEVELS.get(self.dtype.name, 0)


class Label(NamedTuple):
  """A label feature.

  Attributes:
    key: its name in a record.
    classes: the number of classes of a ClassLabel; None for numbers and text, which have to be
      read to be known.
    names: the names of the classes of a ClassLabel, () if it has none.
  """

  key: str
  classes: int | None = None
  names: tuple[str, ...] = ()


def flat(features, prefix: str = '') -> dict:
  """{key in a record: feature}, with the fields of nested dicts as 'outer/inner'."""
  from tensorflow_datasets.core.features import FeaturesDict

  result = {}
  for name, feature in features.items():
    nested = type(feature) is FeaturesDict
    result |= flat(feature, f'{prefix}{name}/') if nested else {f'{prefix}{name}': feature}
  return result


def picture(features: Mapping, settings: Settings, folder: str) -> Picture:
  """The image of a dataset: `data.field`, or else the only Image, or else the only Tensor of this
  form; of several, the one called 'image'. Raises UserError."""
  from tensorflow_datasets.core.features import Image, Tensor

  images = {k: f for k, f in features.items() if isinstance(f, Image) and len(f.shape) == 3}
  tensors = {k: f for k, f in features.items() if type(f) is Tensor and is_picture(f)}
  if settings.field:
    if settings.field not in images | tensors:
      raise UserError(
        f'data.field={settings.field!r} is not an image of {folder}, which has '
        f'{describe(features)}. Choose an Image, or a Tensor [H, W] or [H, W, C]'
      )
    key = settings.field
  else:
    candidates = sorted(images or tensors)
    if 'image' in candidates:
      candidates = ['image']
    if len(candidates) != 1:
      raise UserError(f'{folder}: {problem(features, candidates)}')
    key = candidates[0]
  if key in images:
    return Picture(key, images[key].shape, np.dtype(images[key].np_dtype))
  shape = tensors[key].shape
  where = axes.Axes(add=len(shape) == 2)
  if None not in shape:
    where = axes.find((1, *shape), 4, f'{key} of {folder}')
  shape = axes.row_shape((1, *shape), where)
  return Picture(key, shape, np.dtype(tensors[key].np_dtype), tensors[key], where)


def is_picture(tensor) -> bool:
  """Whether a Tensor has the form of an image: numbers [H, W] or [H, W, C]."""
  shape, kind = tensor.shape, np.dtype(tensor.np_dtype).kind
  return kind in 'buif' and len(shape) in (2, 3) and (len(shape) == 2 or shape[2] is not None)


def problem(features: Mapping, candidates: list[str]) -> str:
  """The reason why no image can be chosen, for an error."""
  if candidates:
    return (
      f'it has several images. Choose one by data.field={candidates[0]} ({", ".join(candidates)})'
    )
  if clips.find(features):
    return 'it has a video and no image. Use a config of videos, with data.frames'
  return f'an image is needed, but it has {describe(features) or "no features"}'


def label(features: Mapping, settings: Settings, folder: str) -> tuple[Label | None, tuple]:
  """The label of a dataset, None without one, and notes for the user.

  It is `data.label`, or else the feature called 'label', or else the only ClassLabel. Raises
  UserError if `data.label` names no label.
  """
  from tensorflow_datasets.core.features import ClassLabel

  if settings.label == NO_LABEL:
    return None, ()
  labels = {k: f for k, f in features.items() if is_label(f)}
  classes = sorted(k for k, f in labels.items() if isinstance(f, ClassLabel))
  if settings.label:
    if settings.label not in labels:
      raise UserError(
        f'data.label={settings.label!r} is not a label of {folder}, which has '
        f"{describe(features)}. Choose a ClassLabel, a whole number or a text, or 'none'"
      )
    key = settings.label
  elif 'label' in labels or len(classes) == 1:
    key = 'label' if 'label' in labels else classes[0]
  else:
    choose = f'Choose one by data.label={classes[0]}' if classes else ''
    several = f'{folder} has several labels ({", ".join(classes)}) and none is read. {choose}'
    return None, (several,) if classes else ()
  feature = labels[key]
  if not isinstance(feature, ClassLabel):
    return Label(key), ()
  names = feature.names if feature._int2str else ()
  return Label(key, feature.num_classes, tuple(names)), ()


def is_label(feature) -> bool:
  """Whether a feature has one class for each row: a ClassLabel, a whole number or a text."""
  from tensorflow_datasets.core.features import ClassLabel, Scalar, Tensor, Text

  if isinstance(feature, ClassLabel):
    return bool(feature.num_classes)
  if isinstance(feature, Text):
    return True
  is_number = type(feature) in (Tensor, Scalar) and np.dtype(feature.np_dtype).kind in 'biu'
  return is_number and tuple(feature.shape) in ((), (1,)) and not feature._encoded_to_bytes


def describe(features: Mapping) -> str:
  """The features in words, for an error: 'a Tensor uint8 [4, 4], b Text []'."""
  kind = lambda f: f'{type(f).__name__} {np.dtype(f.np_dtype).name} {list(f.shape)}'
  words = []
  for key, feature in features.items():
    try:
      words.append(f'{key} {kind(feature)}')
    except (TypeError, AttributeError, NotImplementedError):  # of nested features
      words.append(f'{key} {type(feature).__name__}')
  return ', '.join(words)
