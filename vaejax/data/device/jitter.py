"""Random changes of colour, as pure functions on the device."""

import jax
import jax.numpy as jnp

from vaejax.data.device.styles import LUMA


def jitter(
  image: jax.Array,
  noise: jax.Array,
  brightness: float = 0.0,
  contrast: float = 0.0,
  saturation: float = 0.0,
  hue: float = 0.0,
) -> jax.Array:
  """Images [N, ..., H, W, 1 or 3] in [0, 1] with other brightness, contrast, saturation and hue.

  Each change is defined as in torchvision's ColorJitter, and they are made in this order. A video
  has one draw for all frames, and one mean for the contrast.

  Args:
    noise: uniform [N, 4] in [-1, 1), a column for each change.
    brightness, contrast, saturation, hue: the largest changes, see augment.Augment.
  """
  factor = lambda i, size: jnp.maximum(by_row(1 + size * noise[:, i], image.ndim), 0)
  clip = lambda x: jnp.clip(x, 0, 1)
  grey = lambda x: x if x.shape[-1] == 1 else jnp.sum(x * jnp.asarray(LUMA), -1, keepdims=True)
  if brightness:
    image = clip(image * factor(0, brightness))
  if contrast:
    mean = jnp.mean(grey(image), tuple(range(1, image.ndim)), keepdims=True)
    image = clip(mean + (image - mean) * factor(1, contrast))
  if saturation:
    image = clip(grey(image) + (image - grey(image)) * factor(2, saturation))
  if hue:
    image = clip(turn_hue(image, by_row(hue * noise[:, 3], image.ndim)[..., 0]))
  return image


def turn_hue(image: jax.Array, turns: jax.Array) -> jax.Array:
  """RGB [..., 3] with the hue of HSV shifted by `turns`, which broadcast with [...]."""
  red, green, blue = jnp.moveaxis(image, -1, 0)
  value = image.max(-1)
  chroma = value - image.min(-1)
  ratio = lambda a, b: (a - b) / jnp.where(chroma == 0, 1, chroma)
  hue = jnp.where(
    value == red,
    ratio(green, blue),
    jnp.where(value == green, 2 + ratio(blue, red), 4 + ratio(red, green)),
  )

  def channel(offset):
    place = (offset + hue + 6 * turns) % 6
    return value - chroma * jnp.clip(jnp.minimum(place, 4 - place), 0, 1)

  return jnp.stack([channel(5), channel(3), channel(1)], -1)


def by_row(values: jax.Array, axes: int) -> jax.Array:
  """Values of rows [N] as [N, 1, ...] with this number of axes."""
  return values.reshape(-1, *[1] * (axes - 1))
