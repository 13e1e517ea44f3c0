"""Layers that nets are built from. They compute in `dtype`; parameters are float32."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax.nets.adain import normalise
from vaejax.nets.convolve import conv, conv_transpose

ACTIVATIONS = {
  'relu': jax.nn.relu,
  'tanh': jnp.tanh,
  'gelu': jax.nn.gelu,
  'elu': jax.nn.elu,
  'silu': jax.nn.silu,
  'softplus': jax.nn.softplus,
  'sigmoid': jax.nn.sigmoid,
  'leaky_relu': lambda x: jax.nn.leaky_relu(x, 0.2),
  'abs': jnp.abs,
}
DTYPES = {'float32': jnp.float32, 'bfloat16': jnp.bfloat16}
# Initialisers of dense kernels: normal with variance 1 / inputs, or uniform with variance
# 2 / (inputs + outputs) (Glorot & Bengio 2010).
LECUN = nn.initializers.lecun_normal()
INITIAL = {'lecun': LECUN, 'glorot': nn.initializers.glorot_uniform()}
NORMS = ('none', 'batch', 'group', 'spectral')
# Norms that subtract the mean of a channel. A bias directly before one only gets rounding errors as
# its gradient, which Adam would amplify.
CENTRED = ('batch', 'instance')


def spectral(layer: nn.Module, norm: str, train: bool) -> Callable[[jax.Array], jax.Array]:
  """The layer, with its kernel divided by its largest singular value if norm is 'spectral'.
  Initialisation runs 15 power iterations, like PyTorch, and each training step runs one (Miyato et
  al. 2018, arXiv:1802.05957)."""
  if norm != 'spectral':
    return layer
  initialising = layer.parent.is_initializing()
  return partial(
    nn.SpectralNorm(layer, 15 if initialising else 1), update_stats=train or initialising
  )


class Norm(nn.Module):
  """The norm of a kind over [B, ..., C]: 'batch'; 'group', with about 8 channels each; 'instance',
  for each channel of an image [B, H, W, C], without scale and bias; any other kind is the identity.
  """

  kind: str
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, train=False):
    if self.kind == 'batch':
      norm = nn.BatchNorm(use_running_average=not train, momentum=0.9, dtype=self.dtype)
      return norm(x)
    if self.kind == 'group':
      groups = max(1, x.shape[-1] // 8)
      while x.shape[-1] % groups:
        groups -= 1
      return nn.GroupNorm(groups, dtype=self.dtype)(x)
    return normalise(x) if self.kind == 'instance' else x


class Convolution(nn.Module):
  """[B, H, W, C] -> [B, ⌈H/stride⌉, ⌈W/stride⌉, features]; transposed: [B, H*stride, ...]."""

  features: int
  kernel: int = 3
  stride: int = 1
  transposed: bool = False
  use_bias: bool = True
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    shape = (self.kernel, self.kernel, x.shape[-1], self.features)
    kernel = self.param('kernel', nn.initializers.lecun_normal(), shape)
    convolve = conv_transpose if self.transposed else conv
    y = convolve(x.astype(self.dtype), kernel.astype(self.dtype), self.stride)
    if self.use_bias:
      y = y + self.param('bias', nn.initializers.zeros, (self.features,)).astype(self.dtype)
    return y
