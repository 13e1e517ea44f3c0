"""Shared by methods whose loss has a term of the aggregate posterior E_x q(z|x). They train the
latent-variable model of another method."""

import math

from vaejax.distributions import Gaussian
from vaejax.errors import UserError
from vaejax.lookup import lookup
from vaejax.methods import bound
from vaejax.types import Example, Method


def base(config, example: Example) -> Method:
  """The method in `objective.base`, whose model is trained. Raises UserError if it has no latents,
  or more than one player."""
  name = config.objective.base
  method = lookup('methods', name).make(config, example)
  if method.latent is None or len(method.players) != 1:
    raise UserError(
      f'objective.base={name} does not fit the method {config.method}, which needs a '
      'latent-variable model that is trained by one loss. Set it to vae'
    )
  return method


def settings(config, example: Example) -> dict:
  """The arguments of `bound.terms`. Raises UserError for a bound other than the ELBO of one
  draw."""
  made = bound.settings(config, example)
  if made['importance'] or made['samples'] != 1:
    raise UserError(
      f'the method {config.method} needs one draw of z for each image. Set objective.name=elbo and '
      'objective.samples=1'
    )
  return made


def check_whole_batch(config, why: str) -> None:
  """Raises UserError if updates are split into microbatches."""
  if config.optimizer.accumulate > 1:
    raise UserError(
      f'optimizer.accumulate={config.optimizer.accumulate} does not fit the method '
      f'{config.method}, {why}. Set it to 1'
    )


def flat(q, z) -> tuple[Gaussian, object]:
  """q(z|x) and its draw over [B, L], from those over [B, ...]. Raises UserError if q is not a
  diagonal Gaussian."""
  if not isinstance(q, Gaussian):
    raise UserError(
      f'the aggregate posterior needs a posterior that is a diagonal Gaussian, but this one is a '
      f'{type(q).__name__}. Choose another objective.base'
    )
  shape = q.mean.shape[0], math.prod(q.mean.shape[1:])
  return Gaussian(q.mean.reshape(shape), q.log_scale.reshape(shape)), z.reshape(shape)
