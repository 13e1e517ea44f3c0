"""A critic of patches: one logit for every place of an image (PatchGAN, Isola et al. 2017,
arXiv:1611.07004, section 3.2.2)."""

import jax.numpy as jnp
from flax import linen as nn

from vaejax.errors import UserError
from vaejax.nets import conv
from vaejax.nets.blocks import Convolution, spectral


class PatchCritic(nn.Module):
  """Images [B, H, W, C] -> logits [B, h, w] and the features [B, h, w, F] that they are linear
  functions of. Each logit judges the pixels that its feature sees."""

  body: conv.ConvLayers
  norm: str = 'none'

  @nn.compact
  def __call__(self, x, train=False):
    features = self.body(x, train).astype(jnp.float32)
    logits = spectral(Convolution(1, kernel=3), self.norm, train)(features)
    return logits[..., 0], features


def make(model, shape) -> PatchCritic:
  """The critic of a config's section `model.critic` for images of `shape` [H, W, C].

  Raises UserError for a field that does not exist or does not fit.
  """
  if model.net != 'conv':
    raise UserError(
      f'model.critic.net={model.net} has no patches. Set it to conv, or model.critic.patches=False'
    )
  return PatchCritic(conv.ConvLayers(**conv.settings(model, shape)), model.norm)
