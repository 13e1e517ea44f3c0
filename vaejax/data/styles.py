"""Styles of images, as pure functions on the device: what a digit is drawn with, or a photograph
treated by. Each takes an image [H, W, 3] in [0, 1] and a strength in [0, 1), and gives another."""

import functools

import jax
import jax.numpy as jnp

from vaejax.data.noise import bits

# Rec. 601 luma, which PIL's conversion to grey takes as well.
LUMA = 0.299, 0.587, 0.114


def thick(image, strength):
  """Every pixel is the brightest of the 3x3 around it: a dilation."""
  return functools.reduce(jnp.maximum, neighbours(image, 3))


def thin(image, strength):
  """Every pixel is the darkest of itself and those to its right, below, and below right: an
  erosion by 2x2, for one by 3x3 would leave nothing of many strokes."""
  _, _, _, _, here, right, _, below, across = neighbours(image, 3)
  return functools.reduce(jnp.minimum, (here, right, below, across))


def slanted(image, strength):
  """Sheared, so that its top moves to the left: by 0.5 to 0.8 pixels a row."""
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
  """White becomes a full colour, of the hue 360 degrees times the strength."""
  return image * colour(strength)


def tone(image, strength):
  """Printed in one ink: four fifths of it grey times a pale colour, of any hue."""
  grey = (image @ jnp.asarray(LUMA))[..., None]
  return 0.2 * image + 0.8 * grey * (1 - 0.7 * (1 - colour(strength)))


def contrast(image, strength):
  """Differences from the mean brightness become 2.5 to 3.5 times as large, and are cut off."""
  centre = jnp.mean(image @ jnp.asarray(LUMA))
  return jnp.clip(centre + (2.5 + strength) * (image - centre), 0, 1)


def blurred(image, strength):
  """A bilateral filter, four times: the mean of the 3x3 around, by likeness of colour (Tomasi &
  Manduchi 1998, section 2, with a box for the closeness). Its width is 0.15 to 0.25."""
  width = 0.15 + 0.1 * strength

  def smooth(_, image):
    total, weights = 0.0, 0.0
    for near in neighbours(image, 3):
      red, green, blue = (jnp.square(near[..., i] - image[..., i]) for i in range(3))
      weight = jnp.exp(-0.5 / width**2 * (red + green + blue))[..., None]
      total, weights = total + weight * near, weights + weight
    return total / weights

  # A loop, so that no pass is computed anew for each of the pixels that the next one looks at.
  return jax.lax.fori_loop(0, 4, smooth, image)


def posterised(image, strength):
  """Four levels of each primary, or five from a strength of one half on."""
  steps = jnp.where(strength < 0.5, 3.0, 4.0)
  return jnp.round(image * steps) / steps


STYLES = {
  'digits': (thick, thin, slanted, inverted, coloured),
  'photographs': (tone, contrast, blurred, posterised),
}


def names(kind: str) -> tuple[str, ...]:
  """What the styles of a kind are called, in the order of their indices."""
  return tuple(style.__name__ for style in STYLES[kind])


def colour(hue) -> jax.Array:
  """The full colour [3] of a hue in [0, 1), from red by way of green and blue."""
  return jnp.clip(jnp.abs((hue * 6 + jnp.array([0.0, 4.0, 2.0])) % 6 - 3) - 1, 0, 1)


def neighbours(image: jax.Array, size: int) -> list[jax.Array]:
  """Every pixel's square of size², row by row, each [H, W, C]; beyond an edge it repeats."""
  height, width, _ = image.shape
  reach = size // 2
  padded = jnp.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode='edge')
  places = [(i, j) for i in range(size) for j in range(size)]
  return [padded[i : i + height, j : j + width] for i, j in places]


def restyle(kind: str, image: jax.Array, style: jax.Array, strength: jax.Array) -> jax.Array:
  """Images [N, H, W, 1 or 3] in [0, 1], each in its style [N] with its strength [N] in [0, 1):
  [N, H, W, 3], rounded to 256 levels, as images that are read from a file have."""
  image = jnp.broadcast_to(image, (*image.shape[:-1], 3))
  one = lambda x, index, strength: jax.lax.switch(index, STYLES[kind], x, strength)
  return jnp.round(jax.vmap(one)(image, style, strength) * 255) / 255


def draw(kind: str, keys: jax.Array) -> tuple[jax.Array, jax.Array]:
  """A style int32 [N] and a strength [N] in [0, 1) for each of the keys [N], all alike likely."""
  noise = bits(keys, 2)
  style = (noise[:, 0] % jnp.uint32(len(STYLES[kind]))).astype(jnp.int32)
  return style, (noise[:, 1] >> 8).astype(jnp.float32) / 2**24
