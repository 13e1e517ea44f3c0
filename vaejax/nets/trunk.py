"""Trunks: nets between images and vectors, as a body with feature maps and a neck of dense layers.

A file of nets (conv, resnet, or your own module) defines the bodies. `encoder(model, shape)`
returns a module from images [B, *shape] to feature maps [B, h, w, C]. `decoder(model, shape)`
returns one from feature maps to images [B, *shape]; its attribute `places` is the shape (h, w, C)
of the maps, which come from a linear layer. The neck has dense layers of `model.widths`, in reverse
for the decoder. A model whose latents are feature maps uses the body without a neck. A net between
images and vectors without feature maps (mlp) is a complete trunk.
"""

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax.lookup import lookup
from vaejax.nets.mlp import Mlp, MlpDecoder, mirrored, settings


class ToVector(nn.Module):
  """[B, H, W, C] -> [B, F]."""

  body: nn.Module
  neck: nn.Module

  def __call__(self, x, train=False):
    return self.neck(self.body(x, train), train)

  def with_maps(self, x, train=False):
    """The output, and the maps of the body: x, followed by the output of every layer."""
    maps = self.body.maps(x, train)
    return self.neck(maps[-1], train), maps


class FromVector(nn.Module):
  """[B, L] -> [B, H, W, F]."""

  neck: nn.Module
  body: nn.Module

  def __call__(self, z, train=False):
    return self.body(self.neck(z, train), train)


def to_vector(model, shape) -> nn.Module:
  """The net of a config's `model` from images [B, *shape] to features [B, F].

  Raises UserError for a net or a field that does not exist or does not fit.
  """
  body = lookup('nets', model.net, attribute='encoder').encoder(model, shape)
  if len(output_shape(body, shape)) == 1:
    return body
  return ToVector(body, Mlp(**settings(model) | {'norm': neck_norm(model)}))


def from_vector(model, shape) -> nn.Module:
  """The net of a config's `model` from vectors [B, L] to images [B, *shape].

  Raises UserError for a net or a field that does not exist or does not fit.
  """
  body = lookup('nets', model.net, attribute='decoder').decoder(model, shape)
  places = getattr(body, 'places', None)
  if places is None:
    return body
  return FromVector(MlpDecoder(places, **mirrored(model) | {'norm': neck_norm(model)}), body)


def neck_norm(model) -> str:
  """The norm of a neck's layers. Only the spectral norm applies to necks, other norms to bodies."""
  return model.norm if model.norm == 'spectral' else 'none'


def output_shape(net: nn.Module, shape) -> tuple[int, ...]:
  """The shape of a net's output for one input of `shape`, without computing it."""
  blank = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
  output = lambda x: net.init_with_output(jax.random.key(0), x)[0]
  return jax.eval_shape(output, blank).shape[1:]
