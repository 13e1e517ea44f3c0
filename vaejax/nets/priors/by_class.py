"""p(z|y): a learned diagonal Gaussian for each class, initially N(0, 1) (Sohn et al. 2015)."""

import jax.numpy as jnp
from flax import linen as nn

from vaejax.distributions import Gaussian
from vaejax.errors import UserError
from vaejax.nets import lens
from vaejax.nets.heads import LOG_SCALE
from vaejax.types import Prior


class ByClass(nn.Module):
  """label [B] -> p(z|y) over [B, *shape]."""

  shape: tuple[int, ...]
  classes: int

  @nn.compact
  def __call__(self, label, train=False):
    shape = (self.classes, *self.shape)
    mean, log_scale = (
      self.param(name, nn.initializers.zeros, shape)[label] for name in ('mean', 'log_scale')
    )
    return Gaussian(mean, jnp.clip(log_scale, -LOG_SCALE, LOG_SCALE))


def make(model, shape, example, classes=0) -> Prior:
  """The prior of latents of `shape`. Raises UserError for a model that is not conditional."""
  if not classes:
    raise UserError(
      'model.prior=by_class needs a conditional model, but this one is not given the label. Set '
      'model.conditional=True, or model.prior to standard, mixture or vampprior'
    )
  return Prior(
    nets={'prior': ByClass(shape, classes)},
    inputs=lambda n, label: {'prior': (label,)},
    of=lambda nets, posterior: lambda v, n, given: lens.apply(nets, 'prior', v, given['label']),
  )
