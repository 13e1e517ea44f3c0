"""The convolutions of AlexNet (Krizhevsky 2014, arXiv:1404.5997) and VGG16 (Simonyan & Zisserman
2015, arXiv:1409.1556), as in torchvision, up to their last ReLU."""

import jax
import jax.numpy as jnp
from jax import lax

from vaejax.nets.convolve import conv
from vaejax.perceptual.weights import Weights

# Mean and standard deviation of ImageNet's channels, for images in [0, 1]. These are LPIPS's, for
# images in [-1, 1], halved.
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)
# The indices of the convolutions after which maps are returned and pooled.
VGG16_ENDS = 1, 3, 6, 9, 12


def normalise(image: jax.Array) -> jax.Array:
  """Images in [0, 1] [B, H, W, 3] with the mean and deviation of ImageNet removed."""
  return (image - jnp.asarray(MEAN)) / jnp.asarray(DEVIATION)


def max_pool(x: jax.Array, window: int) -> jax.Array:
  """The largest value of windows with stride 2, without padding."""
  shape, strides = (1, window, window, 1), (1, 2, 2, 1)
  return lax.reduce_window(x, -jnp.inf, lax.max, shape, strides, 'VALID')


def layer(x, weights, lowering) -> jax.Array:
  """A convolution with stride 1 and padding 'SAME', and a ReLU."""
  kernel, bias = weights
  return jax.nn.relu(conv(x, kernel, lowering=lowering) + bias)


def alexnet(weights: Weights, x: jax.Array, lowering: str | None = None) -> list[jax.Array]:
  """The maps after each of AlexNet's five convolutions, of normalised images [B, H, W, 3].

  H and W are at least 31. lowering: see nets/convolve.py; 'lax' takes less memory, and is as fast
  where no gradient is taken.
  """
  # The weights are constants of the compiled program, which XLA would fold slowly.
  first, *others = lax.optimization_barrier(weights.convolutions)
  x = _stem(x, *first, lowering)
  maps = [x]
  for number, kernel in enumerate(others, 1):
    x = layer(max_pool(x, 3) if number < 3 else x, kernel, lowering)
    maps.append(x)
  return maps


def _stem(x, kernel, bias, lowering):
  """AlexNet's first layer: 11x11, stride 4, padding 2."""
  if lowering == 'lax' or jax.default_backend() != 'cpu':
    padding = ((2, 2), (2, 2))
    dimensions = ('NHWC', 'HWIO', 'NHWC')
    x = lax.conv_general_dilated(x, kernel, (4, 4), padding, dimension_numbers=dimensions)
    return jax.nn.relu(x + bias)
  # As a 3x3 convolution of blocks of 4x4 pixels, which has the fast form of nets/convolve.py.
  kernel = jnp.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))
  (_, H, W, C), (h, w) = x.shape, ((n - 7) // 4 + 1 for n in x.shape[1:3])
  ends = [(2, 4 * (m + 2) - n - 2) for n, m in ((H, h), (W, w))]
  x = lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *((*e, 0) for e in ends), (0, 0, 0)))
  blocks = lambda a, m, n: a.reshape(-1, m, 4, n, 4, C).swapaxes(2, 3).reshape(-1, m, n, 16 * C)
  kernel = kernel.reshape(3, 4, 3, 4, C, -1).swapaxes(1, 2).reshape(3, 3, 16 * C, -1)
  x = conv(blocks(x, h + 2, w + 2), kernel, lowering=lowering)[:, 1:-1, 1:-1]
  return jax.nn.relu(x + bias)


def vgg16(weights: Weights, x: jax.Array, lowering: str | None = None) -> list[jax.Array]:
  """The maps relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3 of VGG16, of normalised images [B, H,
  W, 3]. H and W are at least 16. lowering: as in `alexnet`."""
  maps = []
  for number, kernel in enumerate(lax.optimization_barrier(weights.convolutions)):
    x = layer(x, kernel, lowering)
    if number in VGG16_ENDS:
      maps.append(x)
      x = max_pool(x, 2) if number < VGG16_ENDS[-1] else x
  return maps
