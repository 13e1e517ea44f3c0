"""Nets of two VAEs with shared latents (UNIT, Liu et al. 2017, arXiv:1703.00848, table 6): the last
layers of the two encoders are one net, and the first layers of the two decoders are one net.

They work on squares of `model.patch` pixels, which a linear layer maps to features and back, with
residual blocks in between.
"""

from typing import Any

import jax.numpy as jnp
from flax import linen as nn

from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.nets import patch
from vaejax.nets.blocks import ACTIVATIONS, DTYPES, NORMS, Convolution
from vaejax.nets.depth import from_depth, to_depth
from vaejax.nets.heads import GaussianHead, LikelihoodHead, features, likelihood
from vaejax.nets.resnet import ResidualBlock
from vaejax.types import Example

# The two domains are the fields 'image' and 'source'.
DOMAINS = 'image', 'source'
DETAIL = 12  # features of a pixel before the last layer


class Blocks(nn.Module):
  """`number` residual blocks, [B, h, w, C] -> the same."""

  number: int
  kernel: int = 3
  activation: str = 'relu'
  norm: str = 'none'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train=False):
    for _ in range(self.number):
      x = ResidualBlock(self.kernel, self.activation, self.norm, self.dtype)(x, train)
    return x


class DomainEncoder(nn.Module):
  """Images [B, H, W, C] of one domain -> feature maps [B, H/patch, W/patch, width]."""

  patch: int
  width: int
  blocks: Blocks

  @nn.compact
  def __call__(self, x, train=False):
    x = nn.Dense(self.width, dtype=self.blocks.dtype)(to_depth(x, self.patch))
    return self.blocks(x, train)


class SharedEncoder(nn.Module):
  """Feature maps [B, h, w, width] of either domain -> q(z|x), a diagonal Gaussian over
  [B, h, w, latents]."""

  latents: int
  blocks: Blocks

  @nn.compact
  def __call__(self, x, train=False):
    return GaussianHead(self.latents, name='head')(self.blocks(x, train))


class SharedDecoder(nn.Module):
  """z [B, h, w, latents] -> feature maps [B, h, w, width] for the decoder of either domain."""

  width: int
  blocks: Blocks

  @nn.compact
  def __call__(self, z, train=False):
    return self.blocks(nn.Dense(self.width, dtype=self.blocks.dtype)(z), train)


class DomainDecoder(nn.Module):
  """Feature maps [B, h, w, width] -> p(x|z) over images [B, H, W, C] of one domain. `target`: see
  LikelihoodHead."""

  patch: int
  features: int
  blocks: Blocks
  head: LikelihoodHead

  @nn.compact
  def __call__(self, x, target=None, train=False):
    x = self.blocks(x, train)
    # Beside the linear layer, one that sees the features as the blocks do.
    y = jnp.concatenate([x, ACTIVATIONS[self.blocks.activation](x)], axis=-1)
    y = nn.Dense(DETAIL * self.patch**2, dtype=self.blocks.dtype)(y)
    # The last layer sees the neighbouring squares, or their borders would show.
    y = Convolution(self.features, dtype=self.blocks.dtype)(from_depth(y, self.patch))
    return self.head(y, target, train)


def make(model, example: Example) -> dict[str, nn.Module]:
  """The nets of a config's `model`: 'encoder_image', 'encoder_source', 'shared_encoder',
  'shared_decoder', 'decoder_image', 'decoder_source', 'critic_image' and 'critic_source'.

  Raises UserError for a net, likelihood or size that does not exist or does not fit the data.
  """
  activation = choice('model.activation', model.activation, {name: name for name in ACTIVATIONS})
  norm, dtype = choice('model.norm', model.norm, NORMS), choice('model.dtype', model.dtype, DTYPES)
  blocks = lambda: Blocks(model.blocks, model.kernel, activation, norm, dtype)
  sizes = {example.fields[domain].shape[:2] for domain in DOMAINS}
  (height, width), *others = sizes
  if others or height % model.patch or width % model.patch:
    shown = ' and '.join(f'{w}x{h}' for h, w in sorted(sizes))
    raise UserError(
      f'the two domains need one size that model.patch={model.patch} divides, but their images are '
      f'{shown}. Set data.size or model.patch'
    )
  nets = {}
  for domain in DOMAINS:
    shape = example.fields[domain].shape
    output = features(model.likelihood, shape[-1], example)
    head = likelihood(model, example)
    nets[f'encoder_{domain}'] = DomainEncoder(model.patch, model.width, blocks())
    nets[f'decoder_{domain}'] = DomainDecoder(model.patch, output, blocks(), head)
    nets[f'critic_{domain}'] = patch.make(model.critic, shape)
  nets['shared_encoder'] = SharedEncoder(model.latents, blocks())
  nets['shared_decoder'] = SharedDecoder(model.width, blocks())
  return nets
