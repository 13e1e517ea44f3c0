"""Enlarge pictures 2 or 4 times, in several versions.

A conditional VAE that was trained with data.source=small:2 or small:4 draws the large picture given
the small one (--how=model). With any other latent-variable model the latents are inferred from the
small picture: those of the largest posterior density (optimise), the ends of pseudo-Gibbs chains
(gibbs), or draws weighted by their likelihood (importance). What is decoded from them is changed
by the same amount in all pixels of a square, so that it agrees with the small picture.

The small picture has the mean of each square of pixels (a box filter). The baselines are bicubic
interpolation (Keys' kernel with a = -0.5, as in Pillow) and repeated pixels. A user's pictures are
the small ones.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from vaejax.data.device import degrade
from vaejax.errors import UserError
from vaejax.restoration import how, problem, result, versions
from vaejax.restoration.problem import Problem
from vaejax.task_type import Pictures, Progress, Result, Setting

SETTINGS = {
  'factor': Setting(0, '2 or 4; by default what the run was trained for, else 4', high=4),
  **how.SETTINGS,
}
ARGUMENTS = ('factor',)
ROWS = 128


def reads(model: Any, settings: Mapping[str, Any]) -> tuple[str, tuple[int, ...]]:
  """The field and the shape of a user's pictures."""
  kind = kind_of(model, settings['factor'])
  _, small = degrade.shapes(degrade.parse(kind), model.example.fields['image'].shape)
  return 'source', small


def kind_of(model: Any, factor: int) -> str:
  """The source of a factor, as in data.source. Raises UserError."""
  how.check_pictures(model)
  trained = how.trained_for(model)
  if not factor:
    return trained if trained.startswith('small:') else 'small:4'
  if str(factor) not in degrade.FACTORS:
    raise UserError(f'factor={factor} is not possible. Use {" or ".join(degrade.FACTORS)}')
  return f'small:{factor}'


def run(
  model: Any, pictures: Pictures, settings: Mapping[str, Any], seed: int, progress: Progress
) -> Result:
  """See task_type."""
  kind = kind_of(model, settings['factor'])
  way = how.choose(model, kind, settings)
  if pictures.split:
    given = problem.degrade_rows(kind, pictures.image, seed)
  else:
    given = Problem(kind, pictures.fields['source'])
  made = versions.make(model, way, given, pictures, settings, seed, result.part(progress, 0, 0.5))
  baselines = enlarged(given, model)
  shown = baselines['repeated_pixels']
  protocol = {'filter': 'box: the mean of each square of pixels'}
  rest = result.part(progress, 0.5, 1), {}, protocol
  return result.make(model, given, made, pictures, shown, baselines, *rest)


def enlarged(given: Problem, model: Any) -> dict[str, np.ndarray]:
  """The baselines {name: pictures [N, H, W, C]}."""
  source = degrade.parse(given.kind)
  *_, bicubic = problem.maps(source, model.example)
  repeated = problem.repeat_pixels(jnp.asarray(given.source), int(source.option))
  cubic = np.clip(bicubic(jnp.asarray(given.source)), 0, 1)
  return {'bicubic': cubic, 'repeated_pixels': np.asarray(repeated)}
