"""Enlarge pictures 2 or 4 times, in several versions.

A conditional VAE that was trained with data.source=small:2 or small:4 draws the large picture given
the small one (--how=model). With any other latent-variable model the latents are inferred from the
small picture: those of the largest posterior density (optimise), the ends of pseudo-Gibbs chains
(gibbs), or draws weighted by their likelihood (importance). What is decoded from them is changed
as little as possible so that it agrees with the small picture.

The small picture is made by the filter of data.source, by default box, the mean of each square of
pixels, and has 8 bits. The baselines are bicubic interpolation (Keys' kernel with a = -0.5, as in
Pillow) and repeated pixels. A user's pictures are the small ones.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from vaejax.data.device import degrade
from vaejax.errors import UserError
from vaejax.restoration import how, problem, result, versions
from vaejax.restoration.problem import Problem
from vaejax.task_type import Pictures, Progress, Result, Setting, part_of

SETTINGS = {
  'factor': Setting(0, '2 or 4; by default what the run was trained for, else 4', high=4),
  **how.SETTINGS,
}
ARGUMENTS = ('factor',)
ROWS = 128


def reads(model: Any, settings: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
  """The field and the shape of a user's pictures."""
  kind = kind_of(model, settings['factor'])
  return 'source', degrade.made_shape(degrade.parse(kind), model.example.fields['image'].shape)


def kind_of(model: Any, factor: int) -> str:
  """The source of a factor, as in data.source. Raises UserError."""
  how.check_pictures(model)
  if factor and factor not in degrade.SIDES:
    raise UserError(f'factor={factor} is not possible. Use {" or ".join(map(str, degrade.SIDES))}')
  trained = how.trained_for(model)
  if trained.startswith('small:') and factor in (0, degrade.parse(trained).value):
    return trained
  return f'small:{factor or 4}'


def run(
  model: Any, pictures: Pictures, settings: Mapping[str, Any], seed: int, progress: Progress
) -> Result:
  """See task_type."""
  reads(model, settings)  # raises for a size that the factor does not divide
  kind = kind_of(model, settings['factor'])
  way = how.choose(model, kind, settings)
  if pictures.split:
    given = problem.degrade_rows(kind, pictures.image, seed)
  else:
    given = Problem(kind, pictures.fields['source'])
  made = versions.make(model, way, given, pictures, settings, seed, part_of(progress, 0, 0.5))
  baselines = enlarged(given, model)
  shown = baselines['repeated pixels']
  protocol = {'filter': degrade.parse(kind).filter}
  rest = part_of(progress, 0.5, 1), {}, protocol
  return result.make(model, given, made, pictures, shown, baselines, *rest)


def enlarged(given: Problem, model: Any) -> dict[str, np.ndarray]:
  """The baselines {name: pictures [N, H, W, C]}."""
  spec = degrade.parse(given.kind)
  *_, bicubic = problem.maps(spec, model.example)
  repeated = problem.repeat_pixels(jnp.asarray(given.source), spec.value)
  cubic = np.clip(bicubic(jnp.asarray(given.source)), 0, 1)
  return {'bicubic': cubic, 'repeated pixels': np.asarray(repeated)}
