"""Accuracy of video continuations: PSNR and SSIM at every horizon after k given frames, compared
with a copy of the last given frame."""

import jax
import jax.numpy as jnp

from vaejax.errors import UserError
from vaejax.estimates import mean
from vaejax.eval_type import Eval
from vaejax.metrics.similarity import WINDOW, psnr, ssim
from vaejax.types import Example, Method

# The number of given frames, and of sampled continuations of each video.
# `draw`: whether `best` draws frames from p(x|z) and feeds them back, rather than their means.
SETTINGS = {'given': 5, 'futures': 8, 'draw': False}
SMOKE = {'given': 2, 'futures': 2}
RANGES = {'given': (1, 4096), 'futures': (1, 2**16)}

METRICS = {'psnr': psnr, 'ssim': ssim}


def make(method: Method, config, example: Example) -> Eval:
  """PSNR and SSIM of continuations after `config.eval.video.given` frames, averaged over the split:
  at every horizon (psnr_rollout_01), and over all horizons (psnr_rollout).

  There are three kinds of continuation. rollout uses the prior's means, at temperature 0. best is
  the best of `config.eval.video.futures` samples, chosen for each video and metric by its mean over
  horizons; with `config.eval.video.draw` their frames are drawn too. copy repeats the last given
  frame.

  Raises UserError for a method that cannot continue videos, for a number of given frames that
  leaves none to predict, and for frames smaller than 7x7 pixels.
  """
  if example.units:
    raise UserError(
      'the video eval needs frames in [0, 1], but the data is real numbers in arbitrary units'
    )
  if 'video' not in method.given:
    raise UserError(
      f'the video eval needs continuations, but the method {config.method!r} does not continue '
      'videos'
    )
  given, futures = config.eval.video.given, config.eval.video.futures
  draw = config.eval.video.draw
  length, *size, _ = example.fields['video'].shape
  if not 1 <= given < length:
    raise UserError(
      f'eval.video.given={given} does not fit videos of {length} frames. Choose 1 to {length - 1}'
    )
  if min(size) < WINDOW:
    raise UserError(
      f'the video eval computes SSIM, which needs frames of at least {WINDOW}x{WINDOW} pixels, but '
      f'these are {size[0]}x{size[1]}'
    )

  def extract(variables, batch, key, hyper):
    video, n = batch['video'], batch['mask'].shape[0]
    first, target = video[:, :given], example.to_unit(video[:, given:])

    def compare(frames):
      return {name: metric(frames, target) for name, metric in METRICS.items()}

    def continuation(key, temperature):
      """{metric: [B, horizons]} of one sampled continuation."""
      drawn = {'temperature': temperature, 'draw': draw and temperature > 0}
      sample = method.sample(variables, key, n, {'video': first}, **drawn)
      return compare(example.to_unit(sample['video'][:, given:]))

    def keep_best(number, best):
      metrics = continuation(jax.random.fold_in(key, number), 1.0)
      better = lambda a, b: jnp.where((jnp.mean(a, 1) > jnp.mean(b, 1))[:, None], a, b)
      return jax.tree.map(better, metrics, best)

    kinds = {
      'rollout': continuation(key, 0.0),
      'best': jax.lax.fori_loop(
        1, futures, keep_best, continuation(jax.random.fold_in(key, 0), 1.0)
      ),
      'copy': compare(jnp.broadcast_to(example.to_unit(first[:, -1:]), target.shape)),
    }
    return {}, {f'{name}_{kind}': x for kind, values in kinds.items() for name, x in values.items()}

  def finish(sums, rows):
    metrics = {}
    for name, values in rows['test'].items():  # [N, horizons]
      metrics[name] = mean(values.mean(axis=1))
      metrics |= {f'{name}_{i:02d}': mean(column) for i, column in enumerate(values.T, 1)}
    return metrics

  def names():
    ends = '', *(f'_{i:02d}' for i in range(1, length - given + 1))
    kinds = 'rollout', 'best', 'copy'
    return [f'{name}_{kind}{end}' for kind in kinds for name in METRICS for end in ends]

  return Eval({'test': extract}, finish, names, {'given': given, 'futures': futures, 'draw': draw})
