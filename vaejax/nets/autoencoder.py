"""Encoder q(z|x) and decoder p(x|z): a trunk of any kind and the head of a distribution."""

from flax import linen as nn

from vaejax.errors import UserError
from vaejax.lookup import choice, lookup
from vaejax.nets.heads import LIKELIHOODS, GaussianHead, LikelihoodHead, features
from vaejax.types import Example


class Encoder(nn.Module):
  """[B, H, W, C] -> q(z|x), a diagonal Gaussian over [B, latents]."""

  trunk: nn.Module
  latents: int

  @nn.compact
  def __call__(self, x, train=False):
    return GaussianHead(self.latents, name='head')(self.trunk(x, train))


class Decoder(nn.Module):
  """[B, latents] -> p(x|z) over [B, H, W, C]. `target`: see LikelihoodHead."""

  trunk: nn.Module
  head: LikelihoodHead

  @nn.compact
  def __call__(self, z, target=None, train=False):
    return self.head(self.trunk(z, train), target, train)


def decoder(model, example: Example, shape) -> Decoder:
  """p(x|z) over images of `shape` [H, W, C], as a config's `model` asks for.

  Raises UserError for a net or likelihood that does not exist or does not fit the data.
  """
  choice('model.likelihood', model.likelihood, LIKELIHOODS)
  if model.likelihood == 'bernoulli' and (example.low, example.high) != (0, 1):
    raise UserError(
      'model.likelihood=bernoulli wants data.scale=unit: the data has values from '
      f'{example.low:g} to {example.high:g}'
    )
  *size, channels = shape
  shape = (*size, features(model.likelihood, channels, example.levels))
  head = LikelihoodHead(
    model.likelihood, example.low, example.high, example.levels, model.scale, model.floor
  )
  return Decoder(lookup('nets', model.net, having='decoder').decoder(model, shape), head)


def make(model, example: Example) -> dict[str, nn.Module]:
  """The nets 'encoder' and 'decoder' that a config's `model` asks for.

  Raises UserError for a net, likelihood or size that does not exist or does not fit the data.
  """
  shape = example.fields['image'].shape
  trunk = lookup('nets', model.net, having='encoder').encoder(model, shape)
  return {
    'encoder': Encoder(trunk, model.latents),
    'decoder': decoder(model, example, shape),
  }
