"""Videos of a handwritten digit that moves and bounces in a frame, rendered on the device.

After Moving MNIST (Srivastava et al. 2015, arXiv:1502.04681, section 4.1), of the embedded digits:
one of them, enlarged to 7/16 of the frame, moves at a constant speed and is thrown back by the
frame's edges. A video is a pure function of its index, so nothing is stored. The test split shows
digits of other writers, on ways of their own.
"""

from __future__ import annotations  # JAX is imported where rows are made

from functools import cache
from typing import TYPE_CHECKING

from vaejax.data.sets import digits
from vaejax.errors import UserError

if TYPE_CHECKING:
  import jax
  import numpy as np

SIZE, FRAMES = 32, 15
COUNTS = {'train': 100_000, 'test': 1000}
# Places are counted in sixteenths of a pixel of a frame of 32: whole numbers, the same on
# every device.
UNIT = 16
REACH = UNIT * (SIZE - SIZE * 7 // 16)  # from one edge to the other
SPEED = 12, 40  # a frame and axis: 0.75 to 2.5 pixels


@cache
def sprites(split: str, side: int) -> tuple[np.ndarray, np.ndarray]:
  """The digits of a split, enlarged to uint8 [N, side, side], and their labels int32 [N]."""
  import numpy as np

  from vaejax.data.fit import fit as fitted

  arrays = digits.table(split).load()
  return np.stack([fitted(x, side)[..., 0] for x in arrays['image']]), arrays['label']


def paths(index: jax.Array, count: int, frames: int) -> tuple[jax.Array, jax.Array]:
  """What each video [N] shows: which of `count` digits, int32 [N], and where its corner is in each
  frame, column and row int32 [N, 2, frames], from 0 to REACH."""
  import jax.numpy as jnp
  import numpy as np

  from vaejax.data.order import mix

  salt = np.arange(1, 6, dtype=np.uint32) * np.uint32(0x9E3779B9)
  noise = mix(mix(index.astype(jnp.uint32))[:, None] + salt)
  low, high = SPEED
  # Thrown back at 0 and at REACH, a place is a triangle wave of time; its phase is the first
  # place and the direction together.
  phase = (noise[:, 1:3] % np.uint32(2 * REACH)).astype(jnp.int32)
  speed = low + (noise[:, 3:5] % np.uint32(high - low + 1)).astype(jnp.int32)
  way = phase[..., None] + speed[..., None] * jnp.arange(frames)
  return (noise[:, 0] % np.uint32(count)).astype(jnp.int32), REACH - abs(REACH - way % (2 * REACH))


def place(sprite: jax.Array, corner: jax.Array, size: int) -> jax.Array:
  """Sprites uint8 [N, side, side] at corners int32 [N, 2, T] (column and row, in 1/UNIT pixels),
  interpolated between pixels -> uint8 [N, T, size, size]."""
  import jax.numpy as jnp

  side = sprite.shape[-1]
  grid = UNIT * (jnp.arange(size)[:, None] - jnp.arange(side))
  # The share of a sprite's row s in a frame's row r, in sixteenths: [N, 2, T, size, side].
  shares = jnp.maximum(UNIT - abs(grid - corner[..., None, None]), 0).astype(jnp.float32)
  across, down = shares[:, 0], shares[:, 1]
  # As products of whole numbers below 2^24, which are exact in any order.
  rows = jnp.einsum('ntrs,nsd->ntrd', down, sprite.astype(jnp.float32), precision='highest')
  frame = jnp.einsum('ntrd,ntcd->ntrc', rows, across, precision='highest')
  return jnp.floor((frame + UNIT**2 / 2) / UNIT**2).astype(jnp.uint8)


def table(
  split: str, size: int | None = None, channels=None, fit='resize', frames: int | None = None
):
  """The 'train' or 'test' split: 'video' uint8 [T, size, size, C] and the digit's 'label'.

  T = `frames`, 15 by default; size, 32 by default, from 16 up in steps of 16. UserError for others.
  """
  import jax.numpy as jnp
  import numpy as np

  from vaejax.data.table import rendered

  size, frames = size or SIZE, frames or FRAMES
  if size < 16 or size % 16:
    raise UserError(f'data.size={size}: moving is rendered at 32, 64 or another multiple of 16')
  side, first = size * 7 // 16, 0 if split == 'train' else COUNTS['train']
  images, labels = sprites(split, side)

  def rows(index):
    number = jnp.asarray(index).astype(jnp.uint32) + np.uint32(first)
    digit, corner = paths(number, len(images), frames)
    video = place(jnp.asarray(images)[digit], corner * size // SIZE, size)
    video = jnp.repeat(video[..., None], channels or 1, axis=-1)
    return {'video': video, 'label': jnp.asarray(labels)[digit]}

  return rendered(COUNTS[split], rows, 10, f'moving {split}')
