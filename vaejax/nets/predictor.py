"""A net from a source and a latent to p(x|z, source): residual blocks at the resolution of the
source (as in Lim et al. 2017, arXiv:1707.02921), with the levels of a U-Net below it (Ronneberger
et al. 2015, arXiv:1505.04597). z scales and shifts the features of every block."""

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.nets.adain import FiLM
from vaejax.nets.blocks import ACTIVATIONS, DTYPES, Convolution
from vaejax.nets.completed import Known, OrMirror
from vaejax.nets.depth import from_depth, to_depth
from vaejax.nets.heads import LikelihoodHead, features, likelihood
from vaejax.types import Example

SMALL = nn.initializers.normal(0.01)
RESIDUAL = 0.3  # weight of what a block adds


class ModulatedBlock(nn.Module):
  """x + f(x, z), [B, H, W, C] and z [B, F] -> [B, H, W, C]."""

  activation: str

  @nn.compact
  def __call__(self, x, z):
    features, act = x.shape[-1], ACTIVATIONS[self.activation]
    y = Convolution(features, dtype=x.dtype)(x)
    # At first z has little effect: what it adds to all features would be noise.
    y = act(FiLM(x.dtype, SMALL)(y, z))
    return x + RESIDUAL * Convolution(features, dtype=x.dtype)(y)


class Predictor(nn.Module):
  """z [B, latents] and a source [B, h, w, c] -> p(x|z, source) over [B, H, W, C].

  Attributes:
    shape: (H, W, F), with the features F that the head needs.
    channels: C.
    width: features of a block at the first level; each further level has twice as many.
    levels: the number of times that the resolution is halved.
    blocks: at each level, on the way down and on the way up.
    stem: squares of stem x stem pixels of the source are one position of the first level.
    mirror: whether the net also sees the source from right to left.
    masked: whether the last channel of the source says where x is seen. There p(x|z, source) is x.
    skip: whether the net predicts the difference of x from the source at the size of x; with
      `mirror`, a missing part of it is replaced by its mirror image.
  """

  shape: tuple[int, int, int]
  channels: int
  head: LikelihoodHead
  width: int = 64
  levels: int = 1
  blocks: int = 2
  stem: int = 2
  activation: str = 'silu'
  mirror: bool = False
  masked: bool = False
  skip: bool = True
  dtype: jnp.dtype = jnp.float32

  @nn.compact
  def __call__(self, z, source, target=None, train=False):
    height, width, size = self.shape
    given = jnp.concatenate([source, source[:, :, ::-1]], -1) if self.mirror else source
    x = Convolution(self.width, dtype=self.dtype)(to_depth(given.astype(self.dtype), self.stem))
    code = nn.Dense(self.width, dtype=self.dtype)(z)
    h = self.level(x, ACTIVATIONS[self.activation](code), 0)
    scale = height // h.shape[1]
    x = Convolution(scale**2 * size, dtype=self.dtype)(h)
    x = from_depth(0.1 * x, scale).astype(jnp.float32)
    if self.skip:
      shown = mirrored(source) if self.mirror and self.masked else source
      shown = resized(shown, (height, width, self.channels))
      rest = jnp.zeros((*shown.shape[:3], size - self.channels))  # not lax.pad, for exports
      x = x + jnp.concatenate([shown, rest], axis=-1)
    p = self.head(x, target, train)
    if not self.masked:
      return p
    if self.mirror:
      read = jnp.concatenate([jnp.mean(h, axis=(1, 2)), code], axis=-1).astype(jnp.float32)
      p = OrMirror(p, mirrored(source), nn.Dense(1, name='symmetric')(read)[:, 0])
    low, high = self.head.low, self.head.high
    seen = source[..., -1:] > (low + high) / 2
    return Known(p, source[..., : self.channels], jnp.broadcast_to(seen, p.mean.shape))

  def level(self, x, code, depth: int):
    """The features of a level, through those below it."""
    for _ in range(self.blocks):
      x = ModulatedBlock(self.activation)(x, code)
    if depth == self.levels:
      return x
    features, act = x.shape[-1], ACTIVATIONS[self.activation]
    y = Convolution(2 * features, kernel=4, stride=2, dtype=x.dtype)(act(x))
    y = self.level(y, code, depth + 1)
    x = x + from_depth(Convolution(4 * features, dtype=x.dtype)(act(y)), 2)
    for _ in range(self.blocks):
      x = ModulatedBlock(self.activation)(x, code)
    return x


def mirrored(source: jax.Array) -> jax.Array:
  """The picture [B, H, W, C] of a source [B, H, W, C + 1], whose last channel is high where it is
  seen. Where only its mirror image is seen, it is that."""
  other = source[:, :, ::-1]
  return jnp.where(other[..., -1:] > source[..., -1:], other, source)[..., :-1]


def resized(source: jax.Array, shape: tuple[int, int, int]) -> jax.Array:
  """A source [B, h, w, c] as [B, *shape]: bicubic, with a grey one repeated or further channels
  left out."""
  *size, channels = shape
  x = source[..., :channels] if source.shape[-1] > channels else source
  if tuple(size) != x.shape[1:3]:
    x = jax.image.resize(x, (x.shape[0], *size, x.shape[-1]), 'cubic')
  return jnp.broadcast_to(x, (x.shape[0], *shape))


def make(model, example: Example, masked: bool) -> Predictor:
  """The net of a config's `model`, for the fields 'image' and 'source' of the data. Raises
  UserError for a size that the net cannot have."""
  height, width, channels = example.fields['image'].shape
  rows, columns, _ = example.fields['source'].shape
  head = likelihood(model, example)
  unit = model.stem * 2 ** min(model.levels, 30)  # which divides no size
  if rows % unit or columns % unit or height % rows or height // rows != width / columns:
    raise UserError(
      f'a source of {columns}x{rows} does not fit model.stem={model.stem} and model.levels='
      f'{model.levels}: {unit} must divide it, and it must divide the image of {width}x{height}'
    )
  choice('model.activation', model.activation, ACTIVATIONS)
  return Predictor(
    (height, width, features(model.likelihood, channels, example)),
    channels,
    head,
    model.width,
    model.levels,
    model.blocks,
    model.stem,
    model.activation,
    model.mirror,
    masked,
    model.likelihood not in ('bernoulli', 'categorical'),
    choice('model.dtype', model.dtype, DTYPES),
  )
