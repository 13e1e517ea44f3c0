"""Encoder q(z|x) and decoder p(x|z): a trunk of any kind and the head of a distribution. A label y
enters crossed with the encoder's features, and with the latents. A layer that both share is a net
of its own, whose kernel both are given."""

import math

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.nets import trunk
from vaejax.nets.heads import LIKELIHOODS, GaussianHead, LikelihoodHead, features
from vaejax.types import Example


class Encoder(nn.Module):
  """[B, H, W, C] and, with classes, label [B] -> q(z|x), a diagonal Gaussian over [B, latents].
  `shared` [features, latents]: the kernel of a layer before the head."""

  trunk: nn.Module
  latents: int
  classes: int = 0

  @nn.compact
  def __call__(self, x, label=None, shared=None, train=False):
    features = self.trunk(x, train)
    if shared is not None:
      features = features.astype(jnp.float32) @ shared
    return GaussianHead(self.latents, name='head')(crossed(features, label, self.classes))


class Decoder(nn.Module):
  """[B, latents] and, with classes, label [B] -> p(x|z) over [B, H, W, C]. `target`: see
  LikelihoodHead. `shared` [features, latents]: its transpose is the kernel of the first layer."""

  trunk: nn.Module
  head: LikelihoodHead
  classes: int = 0

  @nn.compact
  def __call__(self, z, label=None, shared=None, target=None, train=False):
    if shared is not None:
      z = z @ shared.T
    return self.head(self.trunk(crossed(z, label, self.classes), train), target, train)


class Shared(nn.Module):
  """The kernel of a dense layer without bias, [features, latents].

  It starts small: with the gain of an ordinary layer the noise of every latent reaches the decoder
  from the first step, and after 20 epochs most samples of the prior were noise.
  """

  shape: tuple[int, int]

  @nn.compact
  def __call__(self, train=False):
    initial = nn.initializers.variance_scaling(0.01, 'fan_in', 'truncated_normal')
    return self.param('kernel', initial, self.shape)


def crossed(x: jax.Array, label: jax.Array | None, classes: int) -> jax.Array:
  """[B, F] -> [B, classes (1 + F)]: the outer product of one-hot and (1, x), so that the layer that
  follows has weights of its own for every class; without classes, x itself.

  With the one-hot merely beside x, posteriors cannot be turned, class by class, into the axes of
  their diagonal prior, and samples from that fall where no posterior is.
  """
  if not classes:
    return x
  x = jnp.concatenate([jnp.ones_like(x[:, :1]), x], axis=-1)
  # The factor makes up for the zeros, which the initial scale of that layer counts as inputs.
  one_hot = math.sqrt(classes) * jax.nn.one_hot(label, classes, dtype=x.dtype)
  return (one_hot[:, :, None] * x[:, None, :]).reshape(x.shape[0], -1)


def decoder(model, example: Example, shape, classes: int = 0) -> Decoder:
  """p(x|z) over images of `shape` [H, W, C], as a config's `model` asks for.

  Raises UserError for a net or likelihood that does not exist or does not fit the data.
  """
  choice('model.likelihood', model.likelihood, LIKELIHOODS)
  outside = example.levels and (example.low, example.high) != (0, 1)
  if model.likelihood == 'bernoulli' and outside:
    raise UserError(
      'model.likelihood=bernoulli wants data.scale=unit: the data has values from '
      f'{example.low:g} to {example.high:g}'
    )
  *size, channels = shape
  shape = (*size, features(model.likelihood, channels, example.levels))
  head = LikelihoodHead(
    model.likelihood, example.low, example.high, example.levels, model.scale, model.floor
  )
  return Decoder(trunk.from_vector(model, shape), head, classes)


def make(model, example: Example, classes: int = 0) -> dict[str, nn.Module]:
  """The nets 'encoder' and 'decoder' that a config's `model` asks for, and with
  `model.shared` 'shared', the layer between the encoder's features and z.

  Raises UserError for a net, likelihood or size that does not exist or does not fit the data.
  """
  shape = example.fields['image'].shape
  encoder = Encoder(trunk.to_vector(model, shape), model.latents, classes)
  nets = {
    'encoder': encoder,
    'decoder': decoder(model, example, shape, classes),
  }
  if model.get('shared', False):
    nets['shared'] = Shared((*trunk.output_shape(encoder.trunk, shape), model.latents))
  return nets
