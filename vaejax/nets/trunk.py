"""Trunks: a body, whose maps have places, and a neck of dense layers between those and a vector.

A body is what a file of nets gives (conv, resnet, one of your own): `encoder(model, shape)` a
module from images [B, *shape] to maps [B, h, w, C], `decoder(model, shape)` one from maps to images
[B, *shape], with the attribute `places`, the (h, w, C) of the maps that it takes as they come out
of a linear layer. Its neck has dense layers of `model.widths`, the decoder's in reverse. What needs
places, as codes do, takes the body alone. A net without places, from [B, *shape] to [B, F] or from
[B, L] to [B, *shape] (mlp), is a trunk by itself.
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


class FromVector(nn.Module):
  """[B, L] -> [B, H, W, F]."""

  neck: nn.Module
  body: nn.Module

  def __call__(self, z, train=False):
    return self.body(self.neck(z, train), train)


def to_vector(model, shape) -> nn.Module:
  """The net that a section `model` asks for, from images [B, *shape] to features [B, F].

  Raises UserError for a net, or a value of its fields, that does not exist or fit.
  """
  body = lookup('nets', model.net, attribute='encoder').encoder(model, shape)
  if len(output_shape(body, shape)) == 1:
    return body
  return ToVector(body, Mlp(**settings(model) | {'norm': neck_norm(model)}))


def from_vector(model, shape) -> nn.Module:
  """The net that a section `model` asks for, from vectors [B, L] to images [B, *shape].

  Raises UserError for a net, or a value of its fields, that does not exist or fit.
  """
  body = lookup('nets', model.net, attribute='decoder').decoder(model, shape)
  places = getattr(body, 'places', None)
  if places is None:
    return body
  return FromVector(MlpDecoder(places, **mirrored(model) | {'norm': neck_norm(model)}), body)


def neck_norm(model) -> str:
  """The norm of a neck's layers: of the kinds only the spectral is theirs, others are a body's."""
  return model.norm if model.norm == 'spectral' else 'none'


def output_shape(net: nn.Module, shape) -> tuple[int, ...]:
  """The shape of what a net gives for one image of `shape`; nothing is computed."""
  blank = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
  output = lambda x: net.init_with_output(jax.random.key(0), x)[0]
  return jax.eval_shape(output, blank).shape[1:]
