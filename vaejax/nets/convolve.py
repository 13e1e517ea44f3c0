"""Convolutions, lowered to slices and one matrix product on a CPU, and to `lax` elsewhere.

On a CPU, the backward pass of `lax.conv_general_dilated` is 4 to 20 times slower inside a loop
(jax-ml/jax#12868). Under `vmap` over its kernels a convolution becomes a grouped one, which is slow
on every device. The form here has neither problem. It consists of three linear maps: gather the
values under each window, multiply by the kernel as one matrix, and scatter the products to the
outputs that they add to. Gather and scatter are transposes of each other, so derivatives of any
order consist of the same two maps. Each axis of the kernel can be handled by the gather or by the
scatter.

That choice minimises the buffers. With stride 1, columns are gathered and rows scattered, so
buffers are k times the size of the image rather than k². A strided convolution gathers both axes,
at its small output. A strided transposed convolution scatters both, from its small input.

Other runtimes have fast convolutions, but slow or no transposed ones. For an export (lowering.py),
a transposed convolution is one convolution, whose channels are then spread over the
pixels of each place (Shi et al. 2016, arXiv:1609.07009).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from vaejax.lowering import is_for_export

LAYOUT = ('NHWC', 'HWIO', 'NHWC')
LOWERINGS = 'matmul', 'lax', 'spread'


def conv(x, kernel, stride=1, lowering=None):
  """The convolution of `lax.conv_general_dilated` with padding 'SAME'.

  x [B, H, W, C], kernel [kh, kw, C, F] -> [B, ceil(H / stride), ceil(W / stride), F]
  lowering: 'matmul', 'lax', or None for 'matmul' on a CPU and 'lax' elsewhere and in exports.
  Raises ValueError for another lowering, a stride below 1, or shapes that do not fit.
  """
  if _choose(x, kernel, stride, lowering) != 'matmul':
    return lax.conv_general_dilated(x, kernel, (stride, stride), 'SAME', dimension_numbers=LAYOUT)
  (kh, kw, C, F), (B, H, W, _) = kernel.shape, x.shape
  if stride == 1:
    return _conv_unstrided(x, kernel, (kh - 1) // 2, (kw - 1) // 2)
  h, w = -(-H // stride), -(-W // stride)
  top, left = (max((n - 1) * stride + k - m, 0) // 2 for n, k, m in ((h, kh, H), (w, kw, W)))
  x = _gather(x, 2, kw, stride, left, w).reshape(B, H, w, kw * C)
  x = _gather(x, 1, kh, stride, top, h).reshape(B * h * w, kh * kw * C)
  return (x @ kernel.reshape(kh * kw * C, F)).reshape(B, h, w, F)


def conv_transpose(x, kernel, stride=1, lowering=None):
  """The transposed convolution of `lax.conv_transpose` with padding 'SAME'.

  x [B, H, W, C], kernel [kh, kw, C, F] -> [B, H * stride, W * stride, F]
  lowering: as in `conv`, and 'spread', which is the default in exports. Errors: as in `conv`.
  """
  lowering = _choose(x, kernel, stride, lowering)
  if lowering == 'spread':
    return _conv_transpose_spread(x, kernel, stride)
  if lowering == 'lax':
    return lax.conv_transpose(x, kernel, (stride, stride), 'SAME', dimension_numbers=LAYOUT)
  (kh, kw, C, F), (B, H, W, _) = kernel.shape, x.shape
  # lax does not flip the kernel.
  top, left = (_zeros_before(k, stride) for k in (kh, kw))
  if stride == 1:
    return _conv_unstrided(x, kernel, top, left)
  y = x.reshape(B * H * W, C) @ kernel[::-1, ::-1].transpose(2, 0, 1, 3).reshape(C, kh * kw * F)
  y = _scatter(y.reshape(B, H, W, kh, kw * F), 1, stride, kh - 1 - top, H * stride)
  return _scatter(y.reshape(B, H * stride, W, kw, F), 2, stride, kw - 1 - left, W * stride)


def _choose(x, kernel, stride, lowering):
  """The lowering to use. Raises ValueError for arguments that do not fit."""
  if lowering not in (None, *LOWERINGS):
    raise ValueError(f'lowering {lowering!r}: give {", ".join(map(repr, LOWERINGS))} or None')
  if not isinstance(stride, int) or stride < 1:
    raise ValueError(f'stride {stride!r}: give a whole number, 1 or more')
  if x.ndim != 4 or kernel.ndim != 4 or x.shape[3] != kernel.shape[2]:
    raise ValueError(
      f'a kernel {list(kernel.shape)} does not fit an image {list(x.shape)}: '
      'give x [B, H, W, C] and kernel [kh, kw, C, F]'
    )
  if is_for_export():
    return lowering or 'spread'
  return lowering or ('matmul' if jax.default_backend() == 'cpu' else 'lax')


def _zeros_before(k, stride):
  """The number of zeros that `lax.conv_transpose` pads before the dilated image."""
  return min(k - 1, (k + stride - 1) // 2)


def _conv_transpose_spread(x, kernel, stride):
  """`conv_transpose` as one convolution with stride² F channels, which are then spread over
  stride x stride pixels."""
  (kh, kw, C, F), (B, H, W, _) = kernel.shape, x.shape
  rows, top, bottom = _phases(kh, stride)
  columns, left, right = _phases(kw, stride)
  # [window, window, C, F] of each phase; a tap outside the kernel is zero.
  padded = jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
  taps = padded[rows[:, :, None, None], columns[None, None]]  # [h, s, w, s, C, F]
  taps = taps.transpose(0, 2, 4, 1, 3, 5).reshape(len(rows), len(columns), C, stride**2 * F)
  pads = (top, bottom), (left, right)
  y = lax.conv_general_dilated(x, taps, (1, 1), pads, dimension_numbers=LAYOUT)
  y = y.reshape(B, H, W, stride, stride, F).transpose(0, 1, 3, 2, 4, 5)
  return y.reshape(B, H * stride, W * stride, F)


def _phases(k, stride):
  """Along one axis of a transposed convolution: which tap of the kernel output r of a place takes
  at each offset of its window, int [window, stride], where k stands for none; and how far the
  window reaches before and after the place."""
  # Output stride * q + r takes x[q + d] at the tap stride * d + top - r.
  top = _zeros_before(k, stride)
  before, after = top // stride, (stride - 1 + k - 1 - top) // stride
  offsets = np.arange(-before, after + 1)
  taps = stride * offsets[:, None] + top - np.arange(stride)
  return np.where((taps >= 0) & (taps < k), taps, k), before, after


def _conv_unstrided(x, kernel, top, left):
  """The convolution with stride 1 of x [B, H, W, C], padded by `top` and `left` zeros, with the
  kernel [kh, kw, C, F] -> [B, H, W, F]."""
  (kh, kw, C, F), (B, H, W, _) = kernel.shape, x.shape
  x = _gather(x, 2, kw, 1, left, W).reshape(B * H * W, kw * C)
  y = x @ kernel[::-1].transpose(1, 2, 0, 3).reshape(kw * C, kh * F)
  return _scatter(y.reshape(B, H, W, kh, F), 1, 1, kh - 1 - top, H)


def _gather(x, axis, k, stride, before, size):
  """[…, n, …, C] -> […, size, …, k, C]: out[i, t] = x[i * stride + t - before], zero outside x."""
  rows = -(-x.shape[axis] // stride)
  x = _shift(x, axis, 0, rows * stride)
  x = x.reshape(*x.shape[:axis], rows, stride, *x.shape[axis + 1 :])
  phases = _unstack(x, axis + 1)
  taps = (divmod(t - before, stride) for t in range(k))
  return jnp.stack([_shift(phases[r], axis, by, size) for by, r in taps], -2)


def _scatter(y, axis, stride, before, size):
  """The transpose of `_gather`: […, n, …, k, F] -> […, size, …, F]."""
  rows = -(-size // stride)
  phases = [0] * stride
  for t, tap in enumerate(_unstack(y, y.ndim - 2)):
    by, r = divmod(t - before, stride)
    phases[r] += _shift(tap, axis, -by, rows)
  blank = jnp.zeros_like(phases[-before % stride])  # for a phase without a tap, if stride > k
  x = jnp.stack([blank if isinstance(p, int) else p for p in phases], axis + 1)
  x = x.reshape(*x.shape[:axis], rows * stride, *x.shape[axis + 2 :])
  return _shift(x, axis, 0, size)


def _shift(x, axis, by, size):
  """out[i] = x[i + by] for i in range(size), zero outside x."""
  widths = [(0, 0, 0)] * x.ndim
  widths[axis] = (-by, size + by - x.shape[axis], 0)
  return lax.pad(x, jnp.zeros((), x.dtype), widths)


def _unstack(x, axis):
  """The slices along `axis`. The transpose of `lax.split` is one concatenation. The transpose of
  indexing is a sum of padded arrays, which is 7 times slower."""
  return [lax.squeeze(s, (axis,)) for s in lax.split(x, (1,) * x.shape[axis], axis)]
