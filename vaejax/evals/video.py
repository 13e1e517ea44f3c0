"""How well videos are continued: PSNR and SSIM of every horizon, after k given frames, beside what
copying the last given frame gives."""

import jax
import jax.numpy as jnp

from vaejax.errors import UserError
from vaejax.evals.means import mean
from vaejax.metrics.similarity import WINDOW, psnr, ssim
from vaejax.types import Eval, Example, Method

# Frames that are given, and how often each video is continued.
SETTINGS = {'given': 5, 'futures': 8}
SMOKE = {'given': 2, 'futures': 2}
RANGES = {'given': (1, 4096), 'futures': (1, 2**16)}

MEASURES = {'psnr': psnr, 'ssim': ssim}


def make(method: Method, config, example: Example) -> Eval:
  """For each measure and each way to go on after `config.eval.video.given` frames, its mean over
  the split at every horizon, as in psnr_rollout_01, and over the horizons, as in psnr_rollout.

  rollout: the means of the prior, at temperature 0; best: of `config.eval.video.futures` draws the
  one that is best over all horizons, for each video and measure; copy: the last given frame.
  UserError for a method that goes on from nothing only, for as many given frames as there are, or
  for frames of fewer than 7x7 pixels.
  """
  if not example.levels:
    raise UserError('video is of frames in [0, 1], and these are real numbers in their own units')
  if 'video' not in method.given:
    raise UserError(f'video: {config.method} does not continue videos')
  given, futures = config.eval.video.given, config.eval.video.futures
  length, *size, _ = example.fields['video'].shape
  if not 1 <= given < length:
    raise UserError(f'eval.video.given={given}: videos of {length} frames take 1 to {length - 1}')
  if min(size) < WINDOW:
    raise UserError(f'video: SSIM takes frames of {WINDOW}x{WINDOW} pixels at least')

  def look(variables, batch, key, hyper):
    video, n = batch['video'], batch['mask'].shape[0]
    first, truth = video[:, :given], example.to_unit(video[:, given:])

    def ahead(key, temperature):
      """{measure: [B, horizons]} of one continuation."""
      found = method.sample(variables, key, n, {'video': first}, temperature=temperature)
      rest = example.to_unit(found['video'][:, given:])
      return {name: of(rest, truth) for name, of in MEASURES.items()}

    def best(number, so_far):
      found = ahead(jax.random.fold_in(key, number), 1.0)
      better = lambda a, b: jnp.where((jnp.mean(a, 1) > jnp.mean(b, 1))[:, None], a, b)
      return jax.tree.map(better, found, so_far)

    last = jnp.broadcast_to(example.to_unit(first[:, -1:]), truth.shape)
    values = {
      'rollout': ahead(key, 0.0),
      'best': jax.lax.fori_loop(1, futures, best, ahead(jax.random.fold_in(key, 0), 1.0)),
      'copy': {name: of(last, truth) for name, of in MEASURES.items()},
    }
    return {}, {f'{name}_{way}': x for way, each in values.items() for name, x in each.items()}

  def finish(sums, rows):
    found = {}
    for name, each in rows['test'].items():  # [N, horizons]
      found[name] = mean(each.mean(axis=1))
      found |= {f'{name}_{i:02d}': mean(values) for i, values in enumerate(each.T, 1)}
    return found

  def names():
    ends = '', *(f'_{i:02d}' for i in range(1, length - given + 1))
    return [
      f'{m}_{way}{end}' for way in ('rollout', 'best', 'copy') for m in MEASURES for end in ends
    ]

  return Eval({'test': look}, finish, names, {'given': given, 'futures': futures})
