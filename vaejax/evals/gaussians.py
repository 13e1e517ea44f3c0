"""Mode coverage and quality of samples of a mixture of Gaussians (Srivastava et al. 2017,
arXiv:1705.07761, section 5.1)."""

import jax.numpy as jnp
import numpy as np

from vaejax.data import sets
from vaejax.errors import UserError
from vaejax.estimates import proportion
from vaejax.eval_type import Eval
from vaejax.metrics.modes import coverage
from vaejax.types import Example, Method

SETTINGS = {'deviations': 3.0, 'samples': 2500}
RANGES = {'deviations': (0.01, 100), 'samples': (2, 2**31)}


def make(method: Method, config, example: Example) -> Eval:
  """Metrics of `config.eval.gaussians.samples` samples, or as many as the split has rows.

    good_samples: the proportion within `config.eval.gaussians.deviations` standard deviations of
      the nearest centre.
    modes_covered: the number of Gaussians that are the nearest of a good sample.
    mode_kl: KL(good samples || data) over Gaussians, in nats. Without good samples it is left out.

  Raises UserError for a dataset that is not a mixture of Gaussians, or a method without samples.
  """
  module = sets.find(config.data.name)
  if not hasattr(module, 'CENTRES') or method.sample is None:
    raise UserError(
      'the gaussians eval needs samples of a mixture of Gaussians, whose file in vaejax/data/sets '
      f'has CENTRES and DEVIATION, but this is {config.method} on {config.data.name}'
    )
  centres = np.asarray(module.CENTRES, np.float32)  # [M, D]
  settings, modes = config.eval.gaussians, len(centres)

  def extract(variables, batch, key, hyper):
    points = example.to_unit(batch['image']).reshape(-1, 1, centres.shape[1])
    distance = jnp.linalg.norm(points - centres, axis=-1) / module.DEVIATION
    nearest = jnp.argmin(distance, axis=-1)
    good = jnp.min(distance, axis=-1) < settings.deviations
    return {}, {'gaussian': jnp.where(good, nearest, modes)}

  def finish(sums, rows):
    *counts, outside = np.bincount(rows['samples']['gaussian'], minlength=modes + 1)
    good = proportion(sum(counts), sum(counts) + outside)
    return {'good_samples': good, **coverage(counts, np.full(modes, 1 / modes), outside)}

  return Eval(
    {'samples': extract},
    finish,
    lambda: ['good_samples', 'modes_covered', 'mode_kl'],
    {'modes': modes, 'deviations': settings.deviations},
    settings.samples,
  )
