"""LPIPS as a term of a bound: of the mean of p(x|z) and x, weighted by `hyper.lpips`."""

from collections.abc import Callable

import jax

from vaejax.perceptual import images
from vaejax.perceptual.lpips import distance
from vaejax.types import Example

WEIGHT = 'lpips'  # the entry of `hyper`; without it there is no term


def term(config, example: Example) -> Callable[..., jax.Array] | None:
  """A function (means [N, ...], x [B, ...]) -> LPIPS [N] of images or videos in the data's own
  range, where N is a multiple of B and x is repeated; None for a config without `hyper.lpips`.

  The net is `objective.lpips`, 'alex' or 'vgg'. Smaller pictures are enlarged to a side of
  `objective.lpips_size`, if that is given. Of a video it is the mean over frames. Raises UserError
  for data that is not pictures, and if the extra `perceptual` is missing.
  """
  if WEIGHT not in config.hyper:
    return None
  images.check(example, 'hyper.lpips')
  compare = distance(config.objective.get('lpips', 'alex'))
  shape = example.fields[example.data].shape
  # Without the limits of to_unit, whose gradient is 0 outside the data's range.
  unit = lambda x: ((x - example.low) / (example.high - example.low)).reshape(-1, *shape[-3:])
  factor = max(1.0, config.objective.get('lpips_size', 0) / min(shape[-3:-1]))
  size = [round(factor * n) for n in shape[-3:-1]]

  def frames(x):
    x = unit(x)
    return x if factor == 1 else jax.image.resize(x, (len(x), *size, x.shape[-1]), 'linear')

  def term(means, x):
    # A method may give videos, or their frames in a row.
    rows = means.shape[0]
    return compare(frames(means), frames(x)).reshape(rows, -1).mean(axis=1)

  return term
