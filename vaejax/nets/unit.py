"""Nets of two VAEs with shared latents (UNIT, Liu et al. 2017, arXiv:1703.00848, table 6): the last
layers of the two encoders are one net, and the first layers of the two decoders are one net."""

from flax import linen as nn

from vaejax.nets import conv, patch
from vaejax.nets.blocks import ACTIVATIONS
from vaejax.nets.heads import GaussianHead, LikelihoodHead, features, likelihood
from vaejax.nets.resnet import ResidualBlock
from vaejax.types import Example

# The two domains are the fields 'image' and 'source'.
DOMAINS = 'image', 'source'


class SharedEncoder(nn.Module):
  """Feature maps [B, h, w, C] of either domain -> q(z|x), a diagonal Gaussian over
  [B, h, w, latents]."""

  latents: int
  blocks: int
  kernel: int
  activation: str
  norm: str

  @nn.compact
  def __call__(self, x, train=False):
    for _ in range(self.blocks):
      x = ResidualBlock(self.kernel, self.activation, self.norm, x.dtype)(x, train)
    return GaussianHead(self.latents, name='head')(ACTIVATIONS[self.activation](x))


class SharedDecoder(nn.Module):
  """z [B, h, w, latents] -> feature maps [B, h, w, channels] for the decoder of either domain."""

  channels: int
  blocks: int
  kernel: int
  activation: str
  norm: str

  @nn.compact
  def __call__(self, z, train=False):
    x = nn.Dense(self.channels)(z)
    for _ in range(self.blocks):
      x = ResidualBlock(self.kernel, self.activation, self.norm, x.dtype)(x, train)
    return x


class DomainDecoder(nn.Module):
  """Feature maps [B, h, w, C] -> p(x|z) over images [B, H, W, C] of one domain. `target`: see
  LikelihoodHead."""

  body: nn.Module
  head: LikelihoodHead

  def __call__(self, x, target=None, train=False):
    return self.head(self.body(x, train), target, train)


def make(model, example: Example) -> dict[str, nn.Module]:
  """The nets of a config's `model`: 'encoder_image', 'encoder_source', 'shared_encoder',
  'shared_decoder', 'decoder_image', 'decoder_source', 'critic_image' and 'critic_source'.

  Raises UserError for a net, likelihood or size that does not exist or does not fit the data.
  """
  nets, fields = {}, None
  for domain in DOMAINS:
    *size, channels = shape = example.fields[domain].shape
    fields = conv.settings(model, shape)
    output = *size, features(model.likelihood, channels, example)
    body = conv.ConvDecoder(shape=output, **conv.mirrored(model, shape))
    nets[f'encoder_{domain}'] = conv.ConvLayers(**fields)
    nets[f'decoder_{domain}'] = DomainDecoder(body, likelihood(model, example))
    nets[f'critic_{domain}'] = patch.make(model.critic, shape)
  shared = model.blocks, 3, fields['activation'], fields['norm']
  nets['shared_encoder'] = SharedEncoder(model.latents, *shared)
  nets['shared_decoder'] = SharedDecoder(fields['channels'][-1], *shared)
  return nets
