"""A learned mixture of `model.components` diagonal Gaussians, separately for each class."""

import jax.numpy as jnp
from flax import linen as nn

from vaejax.compound import Mixture
from vaejax.nets import lens
from vaejax.nets.heads import LOG_SCALE
from vaejax.types import Prior


class MixtureNet(nn.Module):
  """n and, with classes, label [n] -> p(z) or p(z|y) of n latents [n, *shape]."""

  shape: tuple[int, ...]
  components: int
  classes: int = 0

  @nn.compact
  def __call__(self, n, label=None, train=False):
    count, zeros = (max(1, self.classes), self.components), nn.initializers.zeros
    # Random initial means, because equal components would have equal gradients.
    means = self.param('mean', nn.initializers.normal(1.0), (*count, *self.shape))
    log_scales = self.param('log_scale', zeros, (*count, *self.shape))
    logits = self.param('logits', zeros, count)
    if self.classes:
      logits, means, log_scales = (x[label] for x in (logits, means, log_scales))
    logits = jnp.broadcast_to(logits, (n, self.components))
    return Mixture(logits, means, jnp.clip(log_scales, -LOG_SCALE, LOG_SCALE))


def make(model, shape, example, classes=0) -> Prior:
  """The prior of latents of `shape`."""

  def of(nets, posterior):
    return lambda v, n, given: lens.apply(nets, 'prior', v, n, given.get('label'))

  return Prior(
    nets={'prior': MixtureNet(shape, model.components, classes)},
    inputs=lambda n, label: {'prior': (n, label)},
    of=of,
  )
