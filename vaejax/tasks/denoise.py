"""Remove noise from pictures, in several versions.

A conditional VAE that was trained with data.source=noise:SCALE draws the clean picture given the
noisy one (--how=model). With any other latent-variable model the latents are inferred from the
noisy picture: those of the largest posterior density (optimise), or draws weighted by its
likelihood (importance). The likelihood is a Gaussian around the mean of p(x|z), and the result is
the mean of x given z and the noisy picture.

Rows of a split get Gaussian noise that is independent in all elements, clipped to [0, 1]. A user's
pictures are the noisy ones. The baselines are the noisy picture, and a Gaussian filter, a median
filter and scikit-image's total-variation filter (Chambolle 2004; the extra `restore`), each
with the setting that has the largest PSNR on TUNED training rows with the same noise.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from vaejax.restoration import fills, how, problem, result, versions
from vaejax.restoration.problem import Problem
from vaejax.task_type import Pictures, Progress, Result, Setting, part_of

SETTINGS = {
  'noise': Setting(
    0.0,
    'standard deviation of the noise of pictures in [0, 1]; by default what the run was trained '
    'for, else 0.2',
    high=1,
  ),
  **how.SETTINGS,
}
ARGUMENTS = ('noise',)
ROWS, TUNED = 128, 64
SIGMAS, SIDES, WEIGHTS = (0.4, 0.6, 0.8, 1.0, 1.4, 2.0), (3, 5), (0.05, 0.1, 0.2, 0.4, 0.8)
TRAINING_SEED = 2**31  # of the noise of training rows, added to the seed


def run(
  model: Any, pictures: Pictures, settings: Mapping[str, Any], seed: int, progress: Progress
) -> Result:
  """See task_type."""
  kind = kind_of(model, settings['noise'])
  way = how.choose(model, kind, settings)
  if pictures.split:
    given = problem.degrade_rows(kind, pictures.image, seed)
  else:
    given = Problem(kind, pictures.image)
  made = versions.make(model, way, given, pictures, settings, seed, part_of(progress, 0, 0.6))
  baselines, protocol = {}, {}
  if pictures.split:
    baselines, protocol = filtered(given, pictures, seed)
  rest = part_of(progress, 0.6, 1), {}, protocol
  return result.make(model, given, made, pictures, given.source, baselines, *rest)


def kind_of(model: Any, noise: float) -> str:
  """The source of a noise, as in data.source."""
  trained = how.trained_for(model)
  if not noise and trained.startswith('noise:'):
    return trained
  if trained.startswith('noise:') and noise == float(trained.partition(':')[2]):
    return trained
  return f'noise:{noise or 0.2:g}'


def filters() -> dict[str, tuple[Callable, tuple]]:
  """{name: (a function of pictures [N, H, W, C] and a setting, the settings)}."""
  from scipy.ndimage import gaussian_filter, median_filter

  result = {
    'gaussian filter': (lambda x, sigma: gaussian_filter(x, (0, sigma, sigma, 0)), SIGMAS),
    'median filter': (lambda x, side: median_filter(x, (1, side, side, 1)), SIDES),
  }
  if fills.has_skimage():
    result['total variation'] = total_variation, WEIGHTS
  return result


def total_variation(x: np.ndarray, weight: float) -> np.ndarray:
  """Pictures [N, H, W, C] of less total variation, by scikit-image."""
  from skimage.restoration import denoise_tv_chambolle

  return np.stack([denoise_tv_chambolle(row, weight, channel_axis=-1) for row in x])


def filtered(
  given: Problem, pictures: Pictures, seed: int
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """The baselines {name: pictures [N, H, W, C]}, and their protocol."""
  clean = next(iter(pictures.train(TUNED)))['image']
  noisy = problem.degrade_rows(given.kind, clean, (seed + TRAINING_SEED) % 2**32).source
  baselines, protocol = {'noisy': given.source}, {}
  for name, (function, choices) in filters().items():
    best = min(choices, key=lambda choice, f=function: np.square(f(noisy, choice) - clean).mean())
    baselines[name] = np.clip(function(given.source, best), 0, 1).astype(np.float32)
    protocol[name] = best
  if 'total variation' not in baselines:
    protocol['without_total_variation'] = f'it needs scikit-image: {fills.EXTRA}'
  return baselines, {**protocol, 'filters_chosen_on': f'{len(clean)} training rows'}
