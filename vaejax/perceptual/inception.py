"""The InceptionV3 of FID (Heusel et al. 2017, arXiv:1706.08500), which TensorFlow published in
2015, with the weights that pytorch-fid ported.

It differs from torchvision's: average pools leave the padding out, the last block has a maximum
pool, and images are resized as in TensorFlow 1.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from vaejax.perceptual.images import rgb

WIDTH, SIDE = 2048, 299
EPSILON = 1e-3  # of the batch normalisation

Weights = Mapping[str, tuple[np.ndarray, np.ndarray]]  # {layer: (kernel [kh, kw, C, F], bias [F])}


def fold(arrays: Mapping[str, np.ndarray]) -> Weights:
  """The weights of the convolutions, with their batch normalisations folded in, from a state dict
  of PyTorch. Raises KeyError if a layer is incomplete."""
  weights = {}
  for name in arrays:
    if not name.endswith('.conv.weight'):
      continue
    layer = name.removesuffix('.conv.weight')
    of = lambda field, layer=layer: np.asarray(arrays[f'{layer}.bn.{field}'], np.float64)
    scale = of('weight') / np.sqrt(of('running_var') + EPSILON)
    kernel = np.asarray(arrays[name], np.float64) * scale[:, None, None, None]
    bias = of('bias') - of('running_mean') * scale
    weights[layer] = kernel.transpose(2, 3, 1, 0).astype(np.float32), bias.astype(np.float32)
  return weights


def resize(x: jax.Array, side: int = SIDE) -> jax.Array:
  """Images [B, H, W, C] resized to side x side, bilinearly, with the corners of TensorFlow 1:
  output i lies at i * H / side."""
  for axis in (1, 2):
    size = x.shape[axis]
    place = np.arange(side, dtype=np.float32) * np.float32(size / side)
    low = place.astype(np.int64)
    high, share = np.minimum(low + 1, size - 1), place - low.astype(np.float32)
    share = share.reshape((-1, 1, 1) if axis == 1 else (-1, 1))
    a, b = jnp.take(x, low, axis), jnp.take(x, high, axis)
    x = a + (b - a) * share
  return x


def features(weights: Weights, image: jax.Array) -> jax.Array:
  """The last pool's features of images in [0, 1], rounded to 8 bits, [B, H, W, C] -> [B, 2048]."""
  x = resize(jnp.round(255 * rgb(image)))
  x = (x - 128) / 128
  c = lambda name, x, stride=1, padding='VALID': _layer(weights, name, x, stride, padding)
  x = c('Conv2d_1a_3x3', x, 2)
  x = c('Conv2d_2a_3x3', x)
  x = c('Conv2d_2b_3x3', x, padding='SAME')
  x = c('Conv2d_3b_1x1', _max_pool(x))
  x = _max_pool(c('Conv2d_4a_3x3', x))
  for block in ('Mixed_5b', 'Mixed_5c', 'Mixed_5d'):
    x = _block_a(c, block, x)
  x = _block_b(c, 'Mixed_6a', x)
  for block in ('Mixed_6b', 'Mixed_6c', 'Mixed_6d', 'Mixed_6e'):
    x = _block_c(c, block, x)
  x = _block_d(c, 'Mixed_7a', x)
  x = _block_e(c, 'Mixed_7b', x, _mean_pool)
  x = _block_e(c, 'Mixed_7c', x, lambda x: _max_pool(x, 1, 'SAME'))
  return jnp.mean(x, axis=(1, 2))


def _layer(weights, name, x, stride, padding):
  kernel, bias = lax.optimization_barrier(weights[name])  # or XLA folds them slowly
  dimensions = ('NHWC', 'HWIO', 'NHWC')
  y = lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=dimensions)
  return jax.nn.relu(y + bias)


def _max_pool(x, stride=2, padding='VALID'):
  return lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, stride, stride, 1), padding)


def _mean_pool(x):
  """Means of 3x3 windows, over the positions within the image."""
  total = lambda a: lax.reduce_window(a, 0.0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1), 'SAME')
  return total(x) / total(jnp.ones((1, *x.shape[1:3], 1)))


def _chain(c, x, *names):
  """Layers with padding 'SAME', one after the other."""
  for name in names:
    x = c(name, x, padding='SAME')
  return x


def _numbered(stem, last):
  return [f'{stem}_{i}' for i in range(1, last + 1)]


def _block_a(c, block, x):
  at = f'{block}.branch'
  parts = [
    _chain(c, x, at + '1x1'),
    _chain(c, x, *_numbered(at + '5x5', 2)),
    _chain(c, x, *_numbered(at + '3x3dbl', 3)),
    _chain(c, _mean_pool(x), at + '_pool'),
  ]
  return jnp.concatenate(parts, axis=-1)


def _block_b(c, block, x):
  at = f'{block}.branch'
  double = c(at + '3x3dbl_3', _chain(c, x, *_numbered(at + '3x3dbl', 2)), 2)
  return jnp.concatenate([c(at + '3x3', x, 2), double, _max_pool(x)], axis=-1)


def _block_c(c, block, x):
  at = f'{block}.branch'
  parts = [
    _chain(c, x, at + '1x1'),
    _chain(c, x, *_numbered(at + '7x7', 3)),
    _chain(c, x, *_numbered(at + '7x7dbl', 5)),
    _chain(c, _mean_pool(x), at + '_pool'),
  ]
  return jnp.concatenate(parts, axis=-1)


def _block_d(c, block, x):
  at = f'{block}.branch'
  first = c(at + '3x3_2', _chain(c, x, at + '3x3_1'), 2)
  second = c(at + '7x7x3_4', _chain(c, x, *_numbered(at + '7x7x3', 3)), 2)
  return jnp.concatenate([first, second, _max_pool(x)], axis=-1)


def _block_e(c, block, x, pool):
  at = f'{block}.branch'
  both = lambda name, x: [_chain(c, x, f'{at}{name}{end}') for end in 'ab']
  parts = [
    _chain(c, x, at + '1x1'),
    *both('3x3_2', _chain(c, x, at + '3x3_1')),
    *both('3x3dbl_3', _chain(c, x, *_numbered(at + '3x3dbl', 2))),
    _chain(c, pool(x), at + '_pool'),
  ]
  return jnp.concatenate(parts, axis=-1)
