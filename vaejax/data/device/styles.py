"""Procedural styles of digits and of photographs, as pure functions on the device. Each maps an
image [H, W, 3] in [0, 1] and a strength in [0, 1) to an image."""

import functools

import jax
import jax.numpy as jnp

from vaejax.data.device.noise import bits

# Rec. 601 luma, as in PIL's conversion to grey.
LUMA = 0.299, 0.587, 0.114


def thick(image, strength):
  """Dilation: every pixel becomes the brightest of its 3x3 neighbourhood."""
  return functools.reduce(jnp.maximum, neighbours(image, 3))


def thin(image, strength):
  """Erosion by 2x2: every pixel becomes the darkest of itself and its neighbours to the right,
  below, and below right. Erosion by 3x3 would remove many strokes completely."""
  _, _, _, _, here, right, _, below, across = neighbours(image, 3)
  return functools.reduce(jnp.minimum, (here, right, below, across))


def slanted(image, strength):
  """Shear that moves the top to the left, by 0.5 to 0.8 pixels per row."""
  height, width, _ = image.shape
  shift = (0.5 + 0.3 * strength) * ((height - 1) / 2 - jnp.arange(height))
  place = jnp.clip(jnp.arange(width) + shift[:, None], 0, width - 1)
  left = jnp.floor(place).astype(jnp.int32)
  part = (place - left)[..., None]
  pixel = lambda column: jnp.take_along_axis(image, column[..., None], axis=1)
  return (1 - part) * pixel(left) + part * pixel(jnp.minimum(left + 1, width - 1))


def inverted(image, strength):
  """1 - image, which is its own inverse."""
  return 1 - image


def coloured(image, strength):
  """White becomes a saturated colour, with a hue of 360 degrees times the strength."""
  return image * colour(strength)


def tone(image, strength):
  """A colour tint: 0.8 times grey times a pale colour of any hue, plus 0.2 times the image."""
  grey = (image @ jnp.asarray(LUMA))[..., None]
  return 0.2 * image + 0.8 * grey * (1 - 0.7 * (1 - colour(strength)))


def contrast(image, strength):
  """Differences from the mean brightness are multiplied by 2.5 to 3.5 and clipped."""
  centre = jnp.mean(image @ jnp.asarray(LUMA))
  return jnp.clip(centre + (2.5 + strength) * (image - centre), 0, 1)


def blurred(image, strength):
  """Four passes of a bilateral filter: the mean of the 3x3 neighbourhood, weighted by similarity of
  colour (Tomasi & Manduchi 1998, section 2, with a box in space). The colour scale is 0.15 to
  0.25."""
  width = 0.15 + 0.1 * strength

  def smooth(_, image):
    total, weights = 0.0, 0.0
    for near in neighbours(image, 3):
      red, green, blue = (jnp.square(near[..., i] - image[..., i]) for i in range(3))
      weight = jnp.exp(-0.5 / width**2 * (red + green + blue))[..., None]
      total, weights = total + weight * near, weights + weight
    return total / weights

  # A loop, so that XLA does not recompute a pass for each pixel of the next one.
  return jax.lax.fori_loop(0, 4, smooth, image)


def posterised(image, strength):
  """Four levels for each channel, or five for strengths of at least one half."""
  steps = jnp.where(strength < 0.5, 3.0, 4.0)
  return jnp.round(image * steps) / steps


STYLES = {
  'digits': (thick, thin, slanted, inverted, coloured),
  'photographs': (tone, contrast, blurred, posterised),
}


def names(kind: str) -> tuple[str, ...]:
  """The names of the styles of a kind, in the order of their indices."""
  return tuple(style.__name__ for style in STYLES[kind])


def colour(hue) -> jax.Array:
  """The saturated colour [3] of a hue in [0, 1): from red over green and blue to red."""
  return jnp.clip(jnp.abs((hue * 6 + jnp.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)


def neighbours(image: jax.Array, size: int) -> list[jax.Array]:
  """The size² neighbours of every pixel, row by row, as [H, W, C] each. Edges are repeated."""
  height, width, _ = image.shape
  reach = size // 2
  padded = jnp.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode='edge')
  offsets = [(i, j) for i in range(size) for j in range(size)]
  return [padded[i : i + height, j : j + width] for i, j in offsets]


def restyle(kind: str, image: jax.Array, style: jax.Array, strength: jax.Array) -> jax.Array:
  """Applies to images [N, H, W, 1 or 3] in [0, 1] a style [N] with a strength [N] in [0, 1).
  Returns [N, H, W, 3], rounded to 256 levels like images from files."""
  image = jnp.broadcast_to(image, (*image.shape[:-1], 3))
  apply = lambda x, index, strength: jax.lax.switch(index, STYLES[kind], x, strength)
  return jnp.round(jax.vmap(apply)(image, style, strength) * 255) / 255


def draw(kind: str, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
  """A uniform style int32 [N] and strength [N] in [0, 1) for each of the keys [N]."""
  noise = bits(keys, 2)
  style = (noise[:, 0] % jnp.uint32(len(STYLES[kind]))).astype(jnp.int32)
  return style, (noise[:, 1] >> 8).astype(jnp.float32) / 2**24
