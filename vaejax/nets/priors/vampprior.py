"""The VampPrior (Tomczak & Welling 2018, arXiv:1705.07120, equation 10): the uniform mixture of the
posteriors of `model.components` learned pseudo-inputs, separately for each class."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax.compound import Mixture
from vaejax.nets import lens
from vaejax.types import Example, Prior


class PseudoInputs(nn.Module):
  """Learned images [classes * components, H, W, C] between `low` and `high`."""

  shape: tuple[int, ...]
  count: int
  low: float
  high: float

  @nn.compact
  def __call__(self, train=False):
    # Mostly dark, and different from each other.
    initial = lambda key, shape: 1.5 * jax.random.normal(key, shape) - 1.5
    raw = self.param('image', initial, (self.count, *self.shape))
    return self.low + (self.high - self.low) * jax.nn.sigmoid(raw)


def make(model, shape, example: Example, classes=0) -> Prior:
  """The prior of latents of `shape`. Its gradient also trains the encoder."""
  components, kinds = model.components, max(1, classes)
  pseudo = PseudoInputs(
    example.fields['image'].shape, kinds * components, example.low, example.high
  )

  def of(nets, posterior):
    def prior(v, n, given):
      image, _ = lens.apply(nets, 'prior', v)
      label = jnp.repeat(jnp.arange(kinds), components)
      q, _ = posterior(v, {'image': image, 'label': label})
      means, log_scales = (x.reshape(kinds, components, *shape) for x in (q.mean, q.log_scale))
      if classes:
        means, log_scales = means[given['label']], log_scales[given['label']]
      return Mixture(jnp.zeros((n, components)), means, log_scales), v

    return prior

  return Prior(nets={'prior': pseudo}, inputs=lambda n, label: {'prior': ()}, of=of)
