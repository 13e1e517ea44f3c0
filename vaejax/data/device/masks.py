"""Masks of pictures, drawn on the device: each row by its key."""

import jax
import jax.numpy as jnp

from vaejax.data.device.noise import bits, uniform

MASKS = 'half', 'centre', 'random', 'stripes', 'any'


def masks(kind: str, keys: jax.Array, height: int, width: int) -> jax.Array:
  """Masks float32 [N, H, W, 1], 1 where an image is seen.

  Kinds: half (the right half is missing), centre (a rectangle of half the height and width),
  random (two rectangles and an ellipse, with sides from a quarter to a half of the image's),
  stripes (every other one, of an eighth of the height or width), any (one of these, or another
  half).
  """
  n = keys.shape[0]
  if kind == 'any':
    folds = jax.vmap(jax.random.fold_in, (0, None))(keys, 1)
    chosen = bits(folds, 2)
    right = masks('half', keys, height, width)
    upper = (jnp.arange(height) < (height + 1) // 2).astype(jnp.float32)
    upper = jnp.broadcast_to(upper[:, None, None], right.shape)
    halves = jnp.stack([right, right[:, :, ::-1], upper, upper[:, ::-1]])
    every = jnp.stack(
      [
        jnp.take_along_axis(halves, (chosen[:, 1] % 4)[None, :, None, None, None], axis=0)[0],
        *(masks(other, keys, height, width) for other in ('centre', 'random', 'stripes')),
      ]
    )
    return jnp.take_along_axis(every, (chosen[:, 0] % 4)[None, :, None, None, None], axis=0)[0]
  y, x = jnp.arange(height)[:, None], jnp.arange(width)[None, :]
  if kind in ('half', 'centre'):
    if kind == 'half':
      missing = (x >= (width + 1) // 2) & (y >= 0)
    else:
      inside = lambda place, side: (place >= side // 4) & (place < side // 4 + side // 2)
      missing = inside(y, height) & inside(x, width)
    missing = jnp.broadcast_to(missing, (n, height, width))
  elif kind == 'random':
    draws = uniform(keys, 12).reshape(n, 3, 4, 1, 1)
    # As fractions of the image, at the centres of the pixels.
    places = (y + 0.5) / height, (x + 0.5) / width
    sides = 0.25 + 0.25 * draws[:, :, :2]
    corners = draws[:, :, 2:] * (1 - sides)
    scaled = [(places[i] - corners[:, :, i]) / sides[:, :, i] - 0.5 for i in (0, 1)]
    boxes = (jnp.abs(scaled[0]) < 0.5) & (jnp.abs(scaled[1]) < 0.5)
    ellipse = jnp.square(scaled[0]) + jnp.square(scaled[1]) < 0.25
    missing = boxes[:, 0] | boxes[:, 1] | ellipse[:, 2]
  else:
    draws = bits(keys, 2)
    down = (draws[:, 0] % 2 == 0)[:, None, None]
    thickness = jnp.where(down, max(1, height // 8), max(1, width // 8))
    place = jnp.where(down, y, x) + (draws[:, 1] % 16)[:, None, None].astype(jnp.int32)
    missing = (place // thickness) % 2 == 1
  return 1 - missing.astype(jnp.float32)[..., None]
