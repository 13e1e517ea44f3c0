"""Content and style: an encoder that sees what is where, one that sees only statistics, and a
decoder that renders the one in the statistics of the other (Huang & Belongie 2017,
arXiv:1703.06868)."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.nets import conv
from vaejax.nets.blocks import ACTIVATIONS, Convolution
from vaejax.nets.heads import DISCRETE, LIKELIHOODS, GaussianHead, LikelihoodHead, features
from vaejax.nets.mlp import Mlp
from vaejax.nets.tones import curve, histogram
from vaejax.types import Example

PIXEL, HIDDEN = 16, 48  # features of a pixel before the last layers, and between those
EPSILON = 1e-4  # added to variances: what is flat stays flat


def statistics(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Mean and standard deviation over places, of each channel: [B, H, W, C] -> [B, C] twice."""
  flat = x.reshape(x.shape[0], -1, x.shape[-1])
  # As a product: see distributions.per_example.
  share = jnp.full(flat.shape[1], 1 / flat.shape[1], x.dtype)
  over = lambda values: jnp.einsum('n,bnc->bc', share, values, precision='highest')
  mean = over(flat)
  return mean, jnp.sqrt(over(jnp.square(flat - mean[:, None])) + EPSILON)


def normalise(x: jax.Array) -> jax.Array:
  """(x - mean) / standard deviation, of each image's channels: [B, H, W, C] -> the same."""
  mean, deviation = statistics(x)
  return (x - mean[:, None, None]) / deviation[:, None, None]


def adain(x: jax.Array, mean: jax.Array, deviation: jax.Array) -> jax.Array:
  """x [B, H, W, C] with another mean and standard deviation [B, C] of its channels (equation 8)."""
  return deviation[:, None, None] * normalise(x) + mean[:, None, None]


class AdaIN(nn.Module):
  """x [B, H, W, C], style features [B, F] -> [B, H, W, C]: they decide mean and deviation."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, style):
    mean, scale = jnp.split(nn.Dense(2 * x.shape[-1], dtype=self.dtype)(style), 2, axis=-1)
    return adain(x, mean, 1 + scale)


class FiLM(nn.Module):
  """x [B, H, W, C], features [B, F] -> [B, H, W, C]: they scale and shift its channels (Perez et
  al. 2018, arXiv:1709.07871)."""

  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, features):
    scale, shift = jnp.split(nn.Dense(2 * x.shape[-1], dtype=self.dtype)(features), 2, axis=-1)
    return (1 + scale[:, None, None]) * x + shift[:, None, None]


class ContentEncoder(nn.Module):
  """[B, H, W, C] -> q(z_c|x), a Gaussian over [B, latents], or `spatial`, over [B, h, w, latents].

  To take a style off an image one must know it, and a code with places comes from what is near
  them. So where `spatial`, the statistics of every layer scale and shift it (squeeze and
  excitation, Hu et al. 2018, arXiv:1709.01507, with deviations and shifts too).
  With `invariant` the image and every layer are normalised, and the first layer gives sizes without
  signs: brightness, contrast and tint of the whole are not seen, and a negative is the same.
  """

  latents: int
  channels: tuple[int, ...]
  strides: tuple[int, ...]
  spatial: bool = False
  invariant: bool = False
  kernel: int = 3
  widths: tuple[int, ...] = ()
  activation: str = 'relu'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train=False):
    act, x = ACTIVATIONS[self.activation], normalise(x) if self.invariant else x
    for i, (channels, stride) in enumerate(zip(self.channels, self.strides, strict=True)):
      # Without a bias where a norm would take it away.
      bias = not self.invariant
      x = Convolution(channels, self.kernel, stride, use_bias=bias, dtype=self.dtype)(x)
      if self.spatial:
        whole = jnp.concatenate(statistics(x), axis=-1)
        x = FiLM(self.dtype)(x, Mlp(self.widths, self.activation, self.dtype)(whole, train))
      x = normalise(x) if self.invariant else x
      x = jnp.abs(x) if self.invariant and i == 0 else act(x)
    if not self.spatial:
      x = Mlp(self.widths, self.activation, self.dtype)(x, train)
    return GaussianHead(self.latents, name='head')(x)


class StyleEncoder(nn.Module):
  """[B, H, W, C] -> q(z_s|x), a Gaussian over [B, latents], and the statistics that it is read
  from, [B, S]: means and standard deviations of the channels of the image and of every layer, and
  with `tones` the histograms of the image, of that many knots from `low` to `high`."""

  latents: int
  channels: tuple[int, ...]
  strides: tuple[int, ...]
  kernel: int = 3
  widths: tuple[int, ...] = ()
  activation: str = 'relu'
  tones: int = 0
  low: float = 0.0
  high: float = 1.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train=False):
    found = [*statistics(x)]
    if self.tones:
      found.append(histogram(x, self.tones, self.low, self.high).reshape(x.shape[0], -1))
    for channels, stride in zip(self.channels, self.strides, strict=True):
      layer = Convolution(channels, self.kernel, stride, dtype=self.dtype)
      x = ACTIVATIONS[self.activation](layer(x))
      found += statistics(x)
    found = jnp.concatenate(found, axis=-1).astype(jnp.float32)
    read = Mlp(self.widths, self.activation, self.dtype)(found, train)
    return GaussianHead(self.latents, name='head')(read), found


class StyleDecoder(nn.Module):
  """z_c [B, latents] or [B, h, w, latents], z_s [B, L] -> p(x|z_c, z_s) over [B, H, W, C].

  AdaIN by z_s follows every layer but the last. It treats all places alike, which no slant does: so
  where z_c has no places, z_s joins it where it is given some. And it takes away how bright a place
  is, on which a curve of tones depends: so where z_c has places, it joins the last layer too, whose
  features pass through a layer, the same for all pixels, that z_s scales and shifts. With `tones` a
  curve of so many knots, whose values z_s gives, is added to each channel of the image last: it can
  be a staircase, which no few layers are. `channels` and `strides` are those of the content
  encoder, in reverse.
  """

  shape: tuple[int, int, int]
  head: LikelihoodHead
  channels: tuple[int, ...]
  strides: tuple[int, ...]
  spatial: bool = False
  tones: int = 0
  kernel: int = 3
  widths: tuple[int, ...] = ()
  activation: str = 'relu'
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, content, style, target=None, train=False):
    act = ACTIVATIONS[self.activation]
    read = Mlp(self.widths, self.activation, self.dtype, name='style')(style, train)
    modulated = lambda x: act(AdaIN(self.dtype)(x, read))
    *grow, (height, width) = conv.sizes(self.shape, self.strides[::-1])
    x = content
    if not self.spatial:
      widths = *self.widths, height * width * self.channels[0]
      x = jnp.concatenate([content, style], axis=-1)
      x = Mlp(widths, self.activation, self.dtype)(x, train)
      x = modulated(x.reshape(-1, height, width, self.channels[0]))
    x = modulated(Convolution(self.channels[0], self.kernel, dtype=self.dtype)(x))
    for i, (stride, (height, width)) in enumerate(zip(self.strides, grow[::-1], strict=True)):
      last = i == len(grow) - 1
      # An even kernel treats all places alike where the image doubles.
      after, kernel = self.shape[-1] if last else self.channels[i + 1], self.kernel + stride - 1
      if last and self.spatial:
        content = jax.image.resize(content, (*x.shape[:3], content.shape[-1]), 'nearest')
        x, after = jnp.concatenate([x, content], axis=-1), PIXEL
      layer = Convolution(after, kernel, stride, transposed=True, dtype=self.dtype)
      x = layer(x)[:, :height, :width]
      x = x if last else modulated(x)
    if self.spatial:
      x = act(FiLM(self.dtype)(nn.Dense(HIDDEN, dtype=self.dtype)(x), read))
      x = nn.Dense(self.shape[-1], dtype=self.dtype)(x)
    if self.tones:
      x, low, high = x.astype(jnp.float32), self.head.low, self.head.high
      # The curve is nothing at first. An image begins in the middle of the range, beyond whose ends
      # a curve has no slope.
      x = x + (low + high) / 2
      size, zeros = self.shape[-1] * self.tones, nn.initializers.zeros
      values = nn.Dense(size, kernel_init=zeros, name='curve')(read)
      x = x + curve(x, values.reshape(-1, self.shape[-1], self.tones), low, high)
    return self.head(x, target, train)


def make(model, example: Example) -> dict[str, nn.Module]:
  """The nets 'content', 'style' and 'decoder' that a config's `model` asks for.

  Raises UserError for a likelihood or size that does not exist or does not fit the data.
  """
  choice('model.likelihood', model.likelihood, LIKELIHOODS)
  if model.tones == 1:
    raise UserError('model.tones=1: it takes 0 for none, or 2 knots or more')
  if model.tones and (model.likelihood in DISCRETE or LIKELIHOODS[model.likelihood] != 1):
    raise UserError('model.tones is of what an image is: model.likelihood is laplace or gaussian')
  if model.likelihood == 'bernoulli' and (example.low, example.high) != (0, 1):
    raise UserError('model.likelihood=bernoulli wants data.scale=unit')
  shape = example.fields['image'].shape
  for field, section in (('model.norm', model), ('model.style.norm', model.style)):
    choice(field, section.norm, {'none': 'none'})  # the norm is AdaIN's, or the instance's own
  settings, mirrored = conv.settings(model, shape), conv.mirrored(model, shape)
  style = conv.settings(model.style, shape)
  for fields in (settings, mirrored, style):
    del fields['norm']
  head = LikelihoodHead(
    model.likelihood, example.low, example.high, example.levels, model.scale, model.floor
  )
  shape = (*shape[:2], features(model.likelihood, shape[2], example.levels))
  return {
    'content': ContentEncoder(
      model.latents, spatial=model.spatial, invariant=model.invariant, **settings
    ),
    'style': StyleEncoder(
      model.style.latents, tones=model.tones, low=example.low, high=example.high, **style
    ),
    'decoder': StyleDecoder(shape, head, spatial=model.spatial, tones=model.tones, **mirrored),
  }
