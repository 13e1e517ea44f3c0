"""Nets for style transfer: an encoder of content, an encoder of style that only sees statistics,
and a decoder of content with the statistics of a style (Huang & Belongie 2017,
arXiv:1703.06868)."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.nets import conv, mlp
from vaejax.nets.adain import EPSILON as EPSILON  # methods/style.py uses it too
from vaejax.nets.adain import AdaIN, Excitation, FiLM, normalise, statistics
from vaejax.nets.autoencoder import Encoder
from vaejax.nets.blocks import ACTIVATIONS, Convolution
from vaejax.nets.conv import ConvLayers
from vaejax.nets.heads import (
  DISCRETE,
  LIKELIHOODS,
  GaussianHead,
  LikelihoodHead,
  features,
  likelihood,
)
from vaejax.nets.mlp import Mlp, MlpDecoder
from vaejax.nets.tones import curve, histogram
from vaejax.nets.trunk import ToVector
from vaejax.types import Example

PIXEL, HIDDEN = 16, 48  # features per pixel before the last two layers, and between them


class Invariant(nn.Module):
  """A body that is invariant to brightness, contrast and tint of the image and to its inversion:
  [B, H, W, C] -> [B, h, w, C]. The image and every layer are normalised, and the first layer's
  activation is the absolute value."""

  first: ConvLayers
  rest: ConvLayers

  def __call__(self, x, train=False):
    return self.rest(self.first(normalise(x), train), train)


class StyleEncoder(nn.Module):
  """[B, H, W, C] -> q(z_s|x), a Gaussian over [B, latents], and the statistics [B, S] that it
  depends on: means and standard deviations of the channels of the image and of every layer. With
  `tones`, also histograms of the image with that number of knots from `low` to `high`."""

  body: ConvLayers
  neck: Mlp
  latents: int
  tones: int = 0
  low: float = 0.0
  high: float = 1.0

  @nn.compact
  def __call__(self, x, train=False):
    of_image, *of_layers = map(statistics, self.body.maps(x, train))
    values = [*of_image]
    if self.tones:
      values.append(histogram(x, self.tones, self.low, self.high).reshape(x.shape[0], -1))
    values = jnp.concatenate([*values, *sum(of_layers, ())], axis=-1).astype(jnp.float32)
    return GaussianHead(self.latents, name='head')(self.neck(values, train)), values


class StyleDecoder(nn.Module):
  """z_c [B, latents] or [B, h, w, latents], z_s [B, L] -> p(x|z_c, z_s) over [B, H, W, C].

  AdaIN with z_s follows every layer except the last. It has two limits, which the ends of the net
  make up for. It is the same at every position, but a style such as a slant is not. So z_s is also
  an input of the `neck`, which maps a z_c without positions to feature maps. And it removes the
  brightness of a position, on which a change of tones depends. So without a neck, a spatial z_c is
  also an input of the last layer, followed by a layer per pixel that z_s scales and shifts.

  With `tones`, a curve with that number of knots, predicted from z_s, is finally added to each
  channel. It can be a step function, which a few layers cannot approximate.
  """

  shape: tuple[int, int, int]
  style: Mlp
  neck: MlpDecoder | None
  body: ConvLayers
  last: Convolution
  head: LikelihoodHead
  tones: int = 0

  @nn.compact
  def __call__(self, content, style, target=None, train=False):
    act, dtype = ACTIVATIONS[self.body.activation], self.body.dtype
    read, (height, width, size) = self.style(style, train), self.shape
    x = content
    if self.neck:
      x = act(self.neck(jnp.concatenate([content, style], axis=-1), train))
      x = act(AdaIN(dtype)(x, train, read))
    x = self.body(x, train, read)
    if not self.neck:
      content = jax.image.resize(content, (*x.shape[:3], content.shape[-1]), 'nearest')
      x = jnp.concatenate([x, content], axis=-1)
    x = self.last(x)[:, :height, :width]
    if not self.neck:
      x = act(FiLM(dtype)(nn.Dense(HIDDEN, dtype=dtype)(x), read))
      x = nn.Dense(size, dtype=dtype)(x)
    if self.tones:
      x, low, high = x.astype(jnp.float32), self.head.low, self.head.high
      # The curve is zero at first. Images start in the middle of the range, because the curve has
      # no gradient outside it.
      x = x + (low + high) / 2
      values = nn.Dense(size * self.tones, kernel_init=nn.initializers.zeros, name='curve')(read)
      x = x + curve(x, values.reshape(-1, size, self.tones), low, high)
    return self.head(x, target, train)


def content(model, shape) -> Encoder:
  """The encoder q(z_c|x), a Gaussian over [B, latents], or with `model.spatial` over
  [B, h, w, latents].

  To remove a style, the encoder must know the style of the image, but a spatial code only depends
  on nearby pixels. So with `spatial`, every layer is scaled and shifted depending on its
  statistics. With `model.invariant` this is not needed, because the encoder is invariant to the
  style.
  """
  fields, dense = conv.settings(model, shape), mlp.settings(model)
  if model.invariant:
    body = ConvLayers(**fields | {'norm': 'instance'})
    first = body.clone(channels=body.channels[:1], strides=body.strides[:1], activation='abs')
    body = Invariant(first, body.clone(channels=body.channels[1:], strides=body.strides[1:]))
  elif model.spatial:
    body = ConvLayers(**fields | {'norm': partial(Excitation, partial(Mlp, **dense))})
  else:
    body = ConvLayers(**fields)
  return Encoder(body if model.spatial else ToVector(body, Mlp(**dense)), model.latents)


def decoder(model, shape, head: LikelihoodHead) -> StyleDecoder:
  """The decoder p(x|z_c, z_s) with features of `shape` [H, W, F]: a layer of stride 1, and the
  layers of the content encoder in reverse."""
  fields, dense = conv.mirrored(model, shape), mlp.mirrored(model)
  sizes, dtype = conv.sizes(shape, fields['strides']), fields['dtype']
  strides = 1, *fields['strides']
  # With stride 2, an even kernel covers all output positions equally.
  *kernels, kernel = (model.kernel + stride - 1 for stride in strides)
  fields |= {'strides': strides[:-1], 'kernel': tuple(kernels), 'sizes': tuple(sizes[:-1])}
  body = ConvLayers(**fields | {'norm': partial(AdaIN, dtype)})
  last = Convolution(PIXEL if model.spatial else shape[-1], kernel, strides[-1], True, dtype=dtype)
  neck = None if model.spatial else MlpDecoder((*sizes[0], body.channels[0]), **dense)
  return StyleDecoder(shape, Mlp(**dense), neck, body, last, head, model.tones)


def make(model, example: Example) -> dict[str, nn.Module]:
  """The nets 'content', 'style' and 'decoder' of a config's `model`.

  Raises UserError for a likelihood or size that does not exist or does not fit the data.
  """
  head = likelihood(model, example)
  if model.tones == 1:
    raise UserError('model.tones=1 is not a curve. Give at least 2 knots, or 0 for no curve')
  if model.tones and (model.likelihood in DISCRETE or LIKELIHOODS[model.likelihood] != 1):
    raise UserError(
      f'model.tones={model.tones} does not fit model.likelihood={model.likelihood}, because the '
      'curve changes pixel values. Set model.likelihood to laplace or gaussian, or model.tones=0'
    )
  for field, section in (('model.norm', model), ('model.style.norm', model.style)):
    choice(field, section.norm, {'none': 'none'})  # the layers have AdaIN or an instance norm
  *size, channels = shape = example.fields['image'].shape
  output = *size, features(model.likelihood, channels, example)
  body = ConvLayers(**conv.settings(model.style, shape))
  neck = Mlp(**mlp.settings(model.style))
  return {
    'content': content(model, shape),
    'style': StyleEncoder(body, neck, model.style.latents, model.tones, example.low, example.high),
    'decoder': decoder(model, output, head),
  }
