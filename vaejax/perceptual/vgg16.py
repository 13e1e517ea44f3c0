"""Features of VGG16 (Simonyan & Zisserman 2015, arXiv:1409.1556), trained on ImageNet."""

import jax
import jax.numpy as jnp

from vaejax.perceptual import stages, weights
from vaejax.perceptual.images import rgb

SMALLEST = 16  # side in pixels; smaller images are enlarged to this


def features(image: jax.Array) -> jax.Array:
  """relu5_3 of images in [0, 1], averaged over positions: [B, H, W, C] -> [B, 512].

  Raises UserError if the extra `perceptual` is missing or damaged.
  """
  x, side = rgb(image), min(image.shape[1:3])
  if side < SMALLEST:
    size = (round(n * SMALLEST / side) for n in x.shape[1:3])
    x = jax.image.resize(x, (x.shape[0], *size, 3), 'linear')
  maps = stages.vgg16(weights.load('vgg'), stages.normalise(x), 'lax')[-1]
  return jnp.mean(maps, axis=(1, 2))
