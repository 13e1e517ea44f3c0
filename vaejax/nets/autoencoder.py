"""Encoder q(z|x) and decoder p(x|z): any trunk with the head of a distribution.

A label y enters as an outer product with the encoder's features, and with the latents. A layer that
both share is a separate net, whose kernel is passed to both.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax.errors import UserError
from vaejax.nets import trunk
from vaejax.nets.blocks import LECUN
from vaejax.nets.heads import GaussianHead, LikelihoodHead, features, likelihood
from vaejax.nets.mlp import initial
from vaejax.types import Example

MAX_CROSSED = 2**22  # values of an example, 16 MiB


class Encoder(nn.Module):
  """[B, H, W, C] and, with classes, label [B] -> q(z|x), a diagonal Gaussian over [B, latents].
  `shared` [features, latents] is the kernel of a layer before the head."""

  trunk: nn.Module
  latents: int
  classes: int = 0
  initial: Callable = LECUN

  @nn.compact
  def __call__(self, x, label=None, shared=None, train=False):
    features = self.trunk(x, train)
    if shared is not None:
      features = features.astype(jnp.float32) @ shared
    head = GaussianHead(self.latents, self.initial, name='head')
    return head(one_hot_outer(features, label, self.classes))


class Decoder(nn.Module):
  """[B, latents] and, with classes, label [B] -> p(x|z) over [B, H, W, C]. `target`: see
  LikelihoodHead. The transpose of `shared` [features, latents] is the kernel of the first layer."""

  trunk: nn.Module
  head: LikelihoodHead
  classes: int = 0

  @nn.compact
  def __call__(self, z, label=None, shared=None, target=None, train=False):
    if shared is not None:
      z = z @ shared.T
    return self.head(self.trunk(one_hot_outer(z, label, self.classes), train), target, train)


class Shared(nn.Module):
  """The kernel of a dense layer without bias, [features, latents].

  Its initial values are small. With the usual scale the noise of every latent reaches the decoder
  from the first step, and most samples from the prior were still noise after 20 epochs.
  """

  shape: tuple[int, int]

  @nn.compact
  def __call__(self, train=False):
    initial = nn.initializers.variance_scaling(0.01, 'fan_in', 'truncated_normal')
    return self.param('kernel', initial, self.shape)


def one_hot_outer(x: jax.Array, label: jax.Array | None, classes: int) -> jax.Array:
  """The outer product of the one-hot label and (1, x), [B, F] -> [B, classes (1 + F)]; without
  classes, x itself. The next layer then has separate weights for every class.

  If the one-hot label were only concatenated with x, the posteriors of a class could not rotate to
  the axes of their diagonal prior, and samples from the prior would fall outside the posteriors.
  """
  if not classes:
    return x
  x = jnp.concatenate([jnp.ones_like(x[:, :1]), x], axis=-1)
  # The factor compensates for the zeros, which the initialiser of the next layer counts as inputs.
  one_hot = math.sqrt(classes) * jax.nn.one_hot(label, classes, dtype=x.dtype)
  return (one_hot[:, :, None] * x[:, None, :]).reshape(x.shape[0], -1)


def decoder(model, example: Example, shape, classes: int = 0) -> Decoder:
  """The decoder p(x|z) over images of `shape` [H, W, C], from a config's `model`.

  Raises UserError for a net or likelihood that does not exist or does not fit the data.
  """
  head, (*size, channels) = likelihood(model, example), shape
  shape = (*size, features(model.likelihood, channels, example))
  return Decoder(trunk.from_vector(model, shape), head, classes)


def make(model, example: Example, classes: int = 0) -> dict[str, nn.Module]:
  """The nets 'encoder' and 'decoder' of a config's `model`; with `model.shared` also 'shared', the
  layer between the encoder's features and z.

  Raises UserError for a net, likelihood or size that does not exist or does not fit the data.
  """
  shape = example.fields['image'].shape
  encoder = Encoder(trunk.to_vector(model, shape), model.latents, classes, initial(model))
  (width,) = trunk.output_shape(encoder.trunk, shape) if classes else (0,)
  if (inputs := classes * (1 + max(width, model.latents))) > MAX_CROSSED:
    raise UserError(
      f'model.conditional=True crosses {classes:,} classes with {max(width, model.latents):,} '
      f'features, which are {inputs:,} inputs of a layer, more than {MAX_CROSSED:,}. Use smaller '
      'model.widths or model.channels, or another field with data.label'
    )
  nets = {'encoder': encoder, 'decoder': decoder(model, example, shape, classes)}
  if model.get('shared', False):
    nets['shared'] = Shared((*trunk.output_shape(encoder.trunk, shape), model.latents))
  return nets
