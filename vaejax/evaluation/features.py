"""Features of images that evals compare. Rows of the same name are computed once in a pass."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from vaejax.data.source import GREY
from vaejax.errors import UserError
from vaejax.evaluation import judges
from vaejax.evaluation.judges import Judge
from vaejax.perceptual import images, inception, inception_weights, vgg16, weights
from vaejax.types import Batch, Example, Method


class Features(NamedTuple):
  """Features of images.

  Attributes:
    name: part of the names of values, for example 'vgg16'.
    row: the name of the rows that are the features.
    rows: images in [0, 1] [B, H, W, C] -> {name of rows: [B, ...]}, in float32.
    protocol: what they depend on.
  """

  name: str
  row: str
  rows: Callable[[jax.Array], Batch]
  protocol: Mapping[str, Any]


def pictures(batch: Batch, example: Example) -> jax.Array:
  """The images of a batch in [0, 1], before they were binarised."""
  return example.to_unit(batch.get(GREY, batch['image']))


def check(method: Method, config, example: Example, name: str) -> None:
  """Raises UserError unless a method has samples, and they are images. `name` is the eval."""
  if method.sample is None:
    raise UserError(f'the {name} eval needs samples, but the method {config.method!r} has none')
  images.check_images(example, f'the {name} eval')


def judge_rows(judge: Judge, image: jax.Array) -> Batch:
  """A judge's outputs for images in [0, 1], under names that are unique to this judge: 'features'
  [B, F], 'predicted' [B] and 'confidence' [B]."""
  batch = {'image': judge.example.to_data(image)}
  # Judges draw nothing, so any key will do.
  output = judge.method.predict['classify'](judge.variables, batch, jax.random.key(0))
  rows = {
    'features': output['features'].reshape(image.shape[0], -1),
    'predicted': jnp.argmax(output['logits'], axis=-1),
    'confidence': jnp.max(output['probability'], axis=-1),
  }
  return {judge_row(judge, name): x for name, x in rows.items()}


def judge_row(judge: Judge, name: str) -> str:
  """The name of rows of `judge_rows`."""
  return f'judge_{judge.checksum[:16]}_{name}'


def check_judge(judge: Judge, example: Example, setting: str) -> None:
  """Raises UserError unless a judge accepts the images. `setting` is the field that names it."""
  shape = judge.example.fields['image'].shape
  if 'image' not in example.fields or example.fields['image'].shape != shape:
    raise UserError(
      f'the judge of {judge.name} needs images of {shape}, but the run has {example.data}s of '
      f'{example.fields[example.data].shape}. Set {setting} to the '
      'workdir of a judge that fits'
    )


def of_judge(config, example: Example, workdir: str, name: str) -> Features:
  """The penultimate features of the judge in a workdir, or of the cached one for ''.

  `name` is the eval, whose field `workdir` names the judge. Raises UserError for a judge that is
  missing, damaged, or does not fit.
  """
  judge = judges.find(workdir, config.data, labelled=example.classes is not None)
  check_judge(judge, example, f'eval.{name}.workdir')
  protocol = {
    'features': f'of the judge of {judge.name}',
    'judge_checksum': judge.checksum[:16],
  }
  rows = lambda image: judge_rows(judge, image)
  return Features(judge.name, judge_row(judge, 'features'), rows, protocol)


def of_vgg16() -> Features:
  """relu5_3 of VGG16, averaged over positions, [B, 512]. Raises UserError without the extra."""
  checksum = weights.load('vgg').checksum
  return Features(
    'vgg16',
    'vgg16_features',
    lambda image: {'vgg16_features': vgg16.features(image)},
    {'features': 'VGG16 relu5_3, mean over positions', 'features_checksum': checksum[:16]},
  )


def of_inception(path: str, name: str) -> Features:
  """The last pool of InceptionV3, [B, 2048], with the weights in the user's file. `name` is the
  eval, whose field `weights` is the path. Raises UserError."""
  loaded = inception_weights.load(Path(path).expanduser() if path else None, f'eval.{name}.weights')
  return Features(
    'inception',
    'inception_features',
    lambda image: {'inception_features': inception.features(loaded, image)},
    {
      'features': 'InceptionV3 of TensorFlow 2015-12-05, pool 2048, images in 8 bits, resized to '
      '299x299 as in TensorFlow 1',
      'features_checksum': inception_weights.SHA256[:16],
    },
  )


def of_pixels() -> Features:
  """The pixels themselves."""
  rows = lambda image: {'pixels': image.reshape(image.shape[0], -1)}
  return Features('pixels', 'pixels', rows, {'features': 'pixels in [0, 1]'})
