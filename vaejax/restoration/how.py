"""How a run restores pictures: by a model that was trained for it, or by inference of latents."""

from collections.abc import Mapping
from typing import Any

from vaejax.errors import UserError
from vaejax.inference.gibbs import check_imposed
from vaejax.inference.optimise import check_real
from vaejax.restoration.problem import observation_of
from vaejax.task_type import Setting
from vaejax.types import zeros

HOWS = 'auto', 'model', 'optimise', 'gibbs', 'importance'
SETTINGS = {
  'how': Setting(
    'auto',
    'model, for a run that was trained for it; latents given what is seen, of any run: optimise, '
    'gibbs, importance; auto, the first of these that the run can',
    HOWS,
  ),
  'versions': Setting(8, 'versions of each picture', low=1, high=256),
  'steps': Setting(200, 'steps of optimise', low=1, high=10**5),
  'rate': Setting(0.2, 'rate of optimise, about its first step in each latent', high=10),
  'sweeps': Setting(50, 'sweeps of gibbs', low=1, high=10**5),
  'draws': Setting(256, 'draws of importance', low=2, high=10**5),
}


def trained_for(model: Any) -> str:
  """The source that a run predicts images from, as its data.source; '' for other runs."""
  latent = model.method.latent
  if latent is None or 'source' not in latent.conditions:
    return ''
  return model.config.data.get('source', '')


def choose(model: Any, kind: str, settings: Mapping[str, Any]) -> str:
  """How versions are made: 'model', 'optimise', 'gibbs' or 'importance'.

  Args:
    kind: the source that is given, as in data.source.

  Raises UserError, before any work, for a run that cannot do it.
  """
  check_pictures(model)
  trained, how = trained_for(model), settings['how']
  if trained and trained != kind and not (trained == 'mask:any' and kind.startswith('mask:')):
    raise UserError(
      f'this run was trained with data.source={trained}, and not for {kind}. Use a run with '
      f'data.source={kind}, or one without a source'
    )
  observation = observation_of(kind, model.example)
  if how == 'auto':
    how = 'model' if trained else 'optimise' if is_real(model) else 'importance'
  if how == 'model' and not trained:
    raise UserError(
      f'--how=model needs a run that was trained with data.source={kind}, and this one was not. '
      'Use --how=optimise'
    )
  if how == 'optimise':
    check_latents(model)
  if how == 'gibbs':
    check_imposed(observation)
  return how


def check_pictures(model: Any) -> None:
  """Raises UserError unless the run is a latent-variable model of pictures in [0, 1]."""
  example = model.example
  if example.data != 'image' or example.units:
    what = 'real numbers' if example.units else 'videos'
    raise UserError(f'only pictures in [0, 1] can be restored, but this run is of {what}')
  if model.method.latent is None:
    raise UserError(
      f'a run of {model.config.method} has no p(x|z) to restore pictures with. Use a run of a '
      'latent-variable model, such as configs/vae.py'
    )


def check_latents(model: Any) -> None:
  """Raises UserError if some latents are codes."""
  check_real(model.method.latent, model.variables, 1, zeros(model.example, 1))


def is_real(model: Any) -> bool:
  """Whether all latents are real numbers."""
  try:
    check_latents(model)
    return True
  except UserError:
    return False
