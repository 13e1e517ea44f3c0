"""Generator and critic with any trunk, optionally conditioned on the class."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax.errors import UserError
from vaejax.nets import trunk
from vaejax.nets.blocks import spectral
from vaejax.types import Example


class Generator(nn.Module):
  """z [B, latents] and, with classes, label [B] -> images [B, H, W, C] in [`low`, `high`]."""

  trunk: nn.Module
  low: float
  high: float
  classes: int = 0

  @nn.compact
  def __call__(self, z, label=None, train=False):
    if self.classes:
      z = jnp.concatenate([z, jax.nn.one_hot(label, self.classes)], axis=-1)
    x = self.trunk(z, train=train).astype(jnp.float32)
    return self.low + (self.high - self.low) * jax.nn.sigmoid(x)


class Critic(nn.Module):
  """Images [B, H, W, C] and, with classes, label [B] -> logits [B] and features.

  The features are those of the trunk [B, F], or with a `layer`, counted from 1, the output
  [B, h, w, C] of that layer of a convolutional trunk.

  Packs of images are stacked along channels, with labels [B, packing]. A label adds the inner
  product of its embedding and the features (the projection discriminator, Miyato & Koyama 2018,
  arXiv:1802.05637, equation 3).
  """

  trunk: nn.Module
  classes: int = 0
  norm: str = 'none'
  layer: int = 0

  @nn.compact
  def __call__(self, x, label=None, train=False):
    if self.layer:
      features, maps = self.trunk.with_maps(x, train=train)
      shown = maps[self.layer].astype(jnp.float32)
      features = features.astype(jnp.float32)
    else:
      shown = features = self.trunk(x, train=train).astype(jnp.float32)
    logit = spectral(nn.Dense(1), self.norm, train)(features)[:, 0]
    if self.classes:
      embed = spectral(nn.Dense(features.shape[-1], use_bias=False), self.norm, train)
      one_hot = jax.nn.one_hot(label, self.classes).reshape(features.shape[0], -1)
      logit = logit + jnp.sum(embed(one_hot) * features, axis=-1)
    return logit, shown


def critic(model, example: Example, classes: int = 0, packing: int = 1) -> Critic:
  """The critic of a config's section `model.critic`, for images, or for packs of images stacked
  along channels. Raises UserError."""
  *size, channels = example.fields['image'].shape
  shape = *size, packing * channels
  body, layer = trunk.to_vector(model, shape), model.get('layer', 0)
  layers = len(model.channels) if hasattr(getattr(body, 'body', None), 'maps') else 0
  if layer > layers:
    raise UserError(
      f'model.critic.layer={layer} is not a convolutional layer of model.critic.net={model.net}, '
      f'which has {layers}. Use 0 for the features before the logit'
    )
  return Critic(body, classes, model.norm, layer)


def make(model, example: Example, packing: int = 1) -> dict[str, nn.Module]:
  """The nets 'generator' and 'critic' of a config's `model`. Raises UserError."""
  shape = example.fields['image'].shape
  classes = example.classes if model.conditional else 0
  body = trunk.from_vector(model, shape)
  return {
    'generator': Generator(body, example.low, example.high, classes),
    'critic': critic(model.critic, example, classes, packing),
  }
