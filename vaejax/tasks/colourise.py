"""Give grey pictures colours, in several versions.

A conditional VAE that was trained with data.source=grey draws the colours given the grey picture
(--how=model). With any other latent-variable model of colour pictures the latents are inferred from
the grey picture: those of the largest posterior density (optimise), the ends of pseudo-Gibbs chains
(gibbs), or draws weighted by their likelihood (importance). What is decoded from them is changed by
the same amount in all three channels, so that its grey is that of the picture.

Grey is luma (Rec. 601: 0.299 R + 0.587 G + 0.114 B). The baselines are the grey picture, and the
mean colour of the training pixels of the same grey, in LEVELS bins. A user's pictures are grey.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from vaejax.data.device.styles import LUMA
from vaejax.errors import UserError
from vaejax.restoration import how, problem, result, versions
from vaejax.restoration.problem import Problem
from vaejax.task_type import Pictures, Progress, Result, part_of

SETTINGS = dict(how.SETTINGS)
KIND = 'grey'
ROWS, LEVELS = 128, 64
FOR_MEANS = 10_000  # training rows


def check(model: Any) -> None:
  """Raises UserError for a run without three channels."""
  how.check_pictures(model)
  channels = model.example.fields['image'].shape[-1]
  if channels != 3:
    raise UserError(
      f'colours need a run on pictures of 3 channels, but this one has {channels}. Train '
      'configs/colourise.py on colour pictures'
    )


def reads(model: Any, settings: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
  """The field and the shape of a user's pictures."""
  check(model)
  return 'source', (*model.example.fields['image'].shape[:2], 1)


def run(
  model: Any, pictures: Pictures, settings: Mapping[str, Any], seed: int, progress: Progress
) -> Result:
  """See task_type."""
  check(model)
  way = how.choose(model, KIND, settings)
  if pictures.split:
    given = problem.degrade_rows(KIND, pictures.image, seed)
  else:
    given = Problem(KIND, pictures.fields['source'])
  made = versions.make(model, way, given, pictures, settings, seed, part_of(progress, 0, 0.6))
  grey = np.repeat(given.source, 3, axis=-1)
  baselines = {'grey': grey, 'mean colour': mean_colour(given.source, pictures)}
  baselines = baselines if pictures.split else {}
  rest = part_of(progress, 0.6, 1), {}, {'grey': 'luma of Rec. 601'}
  return result.make(model, given, made, pictures, grey, baselines, *rest)


def mean_colour(source: np.ndarray, pictures: Pictures) -> np.ndarray:
  """Grey pictures [N, H, W, 1] in the mean colour of the training pixels of the same grey,
  [N, H, W, 3]."""
  total, count = np.zeros((LEVELS, 3)), np.zeros(LEVELS)
  for part in pictures.train(FOR_MEANS):
    colours = part['image'].reshape(-1, 3)
    grey = colours @ np.asarray(LUMA, np.float32)
    level = bins(grey)
    offsets = colours - grey[:, None]
    total += np.stack([np.bincount(level, offsets[:, c], LEVELS) for c in range(3)], 1)
    count += np.bincount(level, minlength=LEVELS)
  mean = total / np.maximum(count, 1)[:, None]  # the difference from grey
  return np.clip(source + mean[bins(source[..., 0])], 0, 1).astype(np.float32)


def bins(grey: np.ndarray) -> np.ndarray:
  """The bin of each grey in [0, 1]."""
  return np.clip((grey * LEVELS).astype(int), 0, LEVELS - 1)
