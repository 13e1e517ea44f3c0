"""Content and style: an encoder that sees what is where, one that sees only statistics, and a
decoder that renders the one in the statistics of the other (Huang & Belongie 2017,
arXiv:1703.06868)."""

from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.nets import conv, mlp
from vaejax.nets.adain import EPSILON as EPSILON  # of methods/style.py too
from vaejax.nets.adain import AdaIN, Excitation, FiLM, normalise, statistics
from vaejax.nets.autoencoder import Encoder
from vaejax.nets.blocks import ACTIVATIONS, Convolution
from vaejax.nets.conv import ConvLayers
from vaejax.nets.heads import DISCRETE, LIKELIHOODS, GaussianHead, LikelihoodHead, features
from vaejax.nets.mlp import Mlp, MlpDecoder
from vaejax.nets.tones import curve, histogram
from vaejax.nets.trunk import ToVector
from vaejax.types import Example

PIXEL, HIDDEN = 16, 48  # features of a pixel before the last layers, and between those


class Invariant(nn.Module):
  """[B, H, W, C] -> [B, h, w, C]: a body that does not see brightness, contrast and tint of the
  whole, and to which a negative is the same: the image and every layer are normalised, and the
  first layer gives sizes without signs."""

  first: ConvLayers
  rest: ConvLayers

  def __call__(self, x, train=False):
    return self.rest(self.first(normalise(x), train), train)


class StyleEncoder(nn.Module):
  """[B, H, W, C] -> q(z_s|x), a Gaussian over [B, latents], and the statistics that it is read
  from, [B, S]: means and standard deviations of the channels of the image and of every layer, and
  with `tones` the histograms of the image, of that many knots from `low` to `high`."""

  body: ConvLayers
  neck: Mlp
  latents: int
  tones: int = 0
  low: float = 0.0
  high: float = 1.0

  @nn.compact
  def __call__(self, x, train=False):
    of_image, *of_layers = map(statistics, self.body.maps(x, train))
    found = [*of_image]
    if self.tones:
      found.append(histogram(x, self.tones, self.low, self.high).reshape(x.shape[0], -1))
    found = jnp.concatenate([*found, *sum(of_layers, ())], axis=-1).astype(jnp.float32)
    return GaussianHead(self.latents, name='head')(self.neck(found, train)), found


class StyleDecoder(nn.Module):
  """z_c [B, latents] or [B, h, w, latents], z_s [B, L] -> p(x|z_c, z_s) over [B, H, W, C].

  AdaIN by z_s follows every layer but the last. It treats all places alike, which no slant does: so
  where z_c has no places, z_s joins it in the `neck`, where it is given some. And it takes away how
  bright a place is, on which a curve of tones depends: so where z_c has places, and the neck is
  None, it joins the last layer too, whose features pass through a layer, the same for all pixels,
  that z_s scales and shifts. With `tones` a curve of so many knots, whose values z_s gives, is
  added to each channel of the image last: it can be a staircase, which no few layers are.
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
      # The curve is nothing at first. An image begins in the middle of the range, beyond whose ends
      # a curve has no slope.
      x = x + (low + high) / 2
      values = nn.Dense(size * self.tones, kernel_init=nn.initializers.zeros, name='curve')(read)
      x = x + curve(x, values.reshape(-1, size, self.tones), low, high)
    return self.head(x, target, train)


def content(model, shape) -> Encoder:
  """q(z_c|x), a Gaussian over [B, latents], or with `model.spatial` over [B, h, w, latents].

  To take a style off an image one must know it, and a code with places comes from what is near
  them. So where `spatial`, the statistics of every layer scale and shift it; unless
  `model.invariant`, which does not see that style at all.
  """
  fields, dense = conv.settings(model, shape), mlp.settings(model)
  if model.invariant:
    body = ConvLayers(**fields | {'norm': 'instance'})
    (one, *others), (stride, *strides) = body.channels, body.strides
    first = body.clone(channels=(one,), strides=(stride,), activation='abs')
    body = Invariant(first, body.clone(channels=tuple(others), strides=tuple(strides)))
  elif model.spatial:
    body = ConvLayers(**fields | {'norm': partial(Excitation, partial(Mlp, **dense))})
  else:
    body = ConvLayers(**fields)
  return Encoder(body if model.spatial else ToVector(body, Mlp(**dense)), model.latents)


def decoder(model, shape, head: LikelihoodHead) -> StyleDecoder:
  """p(x|z_c, z_s), of features of `shape` [H, W, F]: a layer of stride 1, and those of the content
  encoder in reverse."""
  fields, dense = conv.mirrored(model, shape), mlp.mirrored(model)
  sizes, dtype = conv.sizes(shape, fields['strides']), fields['dtype']
  strides = 1, *fields['strides']
  # An even kernel treats all places alike where the image doubles.
  *kernels, kernel = (model.kernel + stride - 1 for stride in strides)
  fields |= {'strides': strides[:-1], 'kernel': tuple(kernels), 'sizes': tuple(sizes[:-1])}
  body = ConvLayers(**fields | {'norm': partial(AdaIN, dtype)})
  last = Convolution(PIXEL if model.spatial else shape[-1], kernel, strides[-1], True, dtype=dtype)
  neck = None if model.spatial else MlpDecoder((*sizes[0], body.channels[0]), **dense)
  return StyleDecoder(shape, Mlp(**dense), neck, body, last, head, model.tones)


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
  for field, section in (('model.norm', model), ('model.style.norm', model.style)):
    choice(field, section.norm, {'none': 'none'})  # the norm is AdaIN's, or the instance's own
  *size, channels = shape = example.fields['image'].shape
  head = LikelihoodHead(
    model.likelihood, example.low, example.high, example.levels, model.scale, model.floor
  )
  grown = *size, features(model.likelihood, channels, example.levels)
  seen = ConvLayers(**conv.settings(model.style, shape))
  read = Mlp(**mlp.settings(model.style))
  return {
    'content': content(model, shape),
    'style': StyleEncoder(seen, read, model.style.latents, model.tones, example.low, example.high),
    'decoder': decoder(model, grown, head),
  }
