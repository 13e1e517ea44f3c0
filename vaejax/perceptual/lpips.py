"""LPIPS, the learned perceptual image patch similarity (Zhang et al. 2018, arXiv:1801.03924), in
version 0.1, as the package lpips computes it."""

import jax
import jax.numpy as jnp

from vaejax.lookup import choice
from vaejax.perceptual import stages, weights
from vaejax.perceptual.images import rgb

NETS = {'alex': stages.alexnet, 'vgg': stages.vgg16}
# The smallest side in pixels that a net takes; smaller images are enlarged to ENLARGED.
SMALLEST = {'alex': 31, 'vgg': 16}
ENLARGED = 32
EPSILON = 1e-10


def describe(net: str, shape) -> str:
  """The version and the net that compare images of a shape [H, W, C], for a protocol."""
  title = {'alex': 'AlexNet', 'vgg': 'VGG16'}[net]
  size, larger = enlarged(net, *shape[:2]), enlarged(net, *shape[:2]) != tuple(shape[:2])
  return f'version 0.1, {title}' + f', images enlarged to {size[0]}x{size[1]}' * larger


def enlarged(net: str, height: int, width: int) -> tuple[int, int]:
  """The size at which images are compared: their own, or with the shorter side ENLARGED."""
  side = min(height, width)
  if side >= SMALLEST[net]:
    return height, width
  return round(height * ENLARGED / side), round(width * ENLARGED / side)


def distance(net: str = 'alex', lowering: str | None = None):
  """A function (x, y) -> LPIPS [N] of images in [0, 1], x [N, H, W, C] and y [B, H, W, C], where N
  is a multiple of B and y is repeated.

  Images of one channel are repeated to three, and those that are too small for the net are enlarged
  (bilinearly, half-pixel centres).

  Args:
    net: 'alex' or 'vgg'.
    lowering: see stages.alexnet.

  Raises UserError for another net, and if the extra `perceptual` is missing or damaged.
  """
  maps, heads = features(net, lowering)

  def compare(x, y):
    copies = x.shape[0] // y.shape[0]
    total = 0.0
    for a, b, head in zip(maps(x), maps(y), heads, strict=True):
      b = jnp.concatenate([unit(b)] * copies)
      total += jnp.mean(jnp.square(unit(a) - b) @ head, axis=(1, 2))
    return total

  return compare


def features(net: str, lowering: str | None = None):
  """A function from images in [0, 1] [N, H, W, C] to the maps [N, h, w, F] of every stage of a net,
  and the weights of their channels in LPIPS, [F] each. Arguments and errors: see `distance`."""
  choice('the net of LPIPS', net, NETS)
  loaded = weights.load(net)

  def maps(image):
    x = rgb(image)
    size = enlarged(net, *x.shape[1:3])
    if size != x.shape[1:3]:
      x = jax.image.resize(x, (x.shape[0], *size, 3), 'linear')
    return NETS[net](loaded, stages.normalise(x), lowering)

  return maps, loaded.heads


def embedding(net: str = 'alex', lowering: str | None = 'lax'):
  """A function from images in [0, 1] [N, H, W, C] to vectors [N, F], whose squared Euclidean
  distances are their LPIPS. Arguments and errors: see `distance`."""
  maps, heads = features(net, lowering)

  def embed(image):
    parts = []
    for x, head in zip(maps(image), heads, strict=True):
      x = unit(x) * jnp.sqrt(jnp.asarray(head) / (x.shape[1] * x.shape[2]))
      parts.append(x.reshape(x.shape[0], -1))
    return jnp.concatenate(parts, axis=-1)

  return embed


def pooled(net: str = 'alex', lowering: str | None = 'lax'):
  """A function from images in [0, 1] [N, H, W, C] to features [N, F] for a linear probe: the means
  over positions of the unit maps of LPIPS. Arguments and errors: see `distance`."""
  maps, _ = features(net, lowering)
  return lambda image: jnp.concatenate([jnp.mean(unit(x), (1, 2)) for x in maps(image)], axis=-1)


def unit(maps: jax.Array) -> jax.Array:
  """Maps [..., C] divided by the norm over channels at each position."""
  squares = jnp.sum(jnp.square(maps), axis=-1, keepdims=True)
  # The gradient of a root is infinite at 0, which is the norm where all channels are 0.
  norm = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1.0)), 0.0)
  return maps / (norm + EPSILON)
