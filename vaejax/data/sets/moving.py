"""Videos of a handwritten digit that moves and bounces in a frame, rendered on the device.

They follow Moving MNIST (Srivastava et al. 2015, arXiv:1502.04681, section 4.1), with the digits of
this package: one digit, enlarged to 7/16 of the frame, moves at a constant speed and bounces off
the edges. A video is a pure function of its index, so nothing is stored. The test split has digits
of other writers and other trajectories.
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
# Positions are whole numbers in units of 1/16 pixel of a frame of 32, so that all devices agree.
UNIT = 16
RANGE = UNIT * (SIZE - SIZE * 7 // 16)  # the range of positions, from one edge to the other
SPEED = 12, 40  # per frame and axis: 0.75 to 2.5 pixels


@cache
def sprites(split: str, side: int) -> tuple[np.ndarray, np.ndarray]:
  """The digits of a split, enlarged to uint8 [N, side, side], and their labels int32 [N]."""
  import numpy as np

  from vaejax.data.fit import fit_image

  arrays = digits.table(split).load()
  return np.stack([fit_image(x, side)[..., 0] for x in arrays['image']]), arrays['label']


def paths(index: jax.Array, count: int, frames: int) -> tuple[jax.Array, jax.Array]:
  """The content of each video [N]: the index of its digit below `count`, int32 [N], and the column
  and row of the digit's corner in each frame, int32 [N, 2, frames] from 0 to RANGE."""
  import jax.numpy as jnp
  import numpy as np

  from vaejax.data.order import mix

  salt = np.arange(1, 6, dtype=np.uint32) * np.uint32(0x9E3779B9)
  noise = mix(mix(index.astype(jnp.uint32))[:, None] + salt)
  low, high = SPEED
  # Bouncing at 0 and RANGE makes a position a triangle wave of time. Its phase determines the
  # initial position and direction.
  phase = (noise[:, 1:3] % np.uint32(2 * RANGE)).astype(jnp.int32)
  speed = low + (noise[:, 3:5] % np.uint32(high - low + 1)).astype(jnp.int32)
  distance = phase[..., None] + speed[..., None] * jnp.arange(frames)
  corner = RANGE - abs(RANGE - distance % (2 * RANGE))
  return (noise[:, 0] % np.uint32(count)).astype(jnp.int32), corner


def place(sprite: jax.Array, corner: jax.Array, size: int) -> jax.Array:
  """Frames uint8 [N, T, size, size] with sprites uint8 [N, side, side] at corners int32 [N, 2, T],
  columns and rows in 1/UNIT pixels, with linear interpolation between pixels."""
  import jax.numpy as jnp

  side = sprite.shape[-1]
  grid = UNIT * (jnp.arange(size)[:, None] - jnp.arange(side))
  # The weight of a sprite's row s in a frame's row r, in sixteenths: [N, 2, T, size, side].
  weights = jnp.maximum(UNIT - abs(grid - corner[..., None, None]), 0).astype(jnp.float32)
  columns, rows = weights[:, 0], weights[:, 1]
  # Sums of whole numbers below 2^24 are exact in any order.
  frame = jnp.einsum('ntrs,nsd->ntrd', rows, sprite.astype(jnp.float32), precision='highest')
  frame = jnp.einsum('ntrd,ntcd->ntrc', frame, columns, precision='highest')
  return jnp.floor((frame + UNIT**2 / 2) / UNIT**2).astype(jnp.uint8)


def table(
  split: str, size: int | None = None, channels=None, fit='resize', frames: int | None = None
):
  """The 'train' or 'test' split: 'video' uint8 [T, size, size, C] and the digit's 'label'.

  T is `frames`, 15 by default. Raises UserError for a size that is not a multiple of 16; it is 32
  by default.
  """
  import jax.numpy as jnp
  import numpy as np

  from vaejax.data.table import rendered

  size, frames = size or SIZE, frames or FRAMES
  if size < 16 or size % 16:
    raise UserError(
      f'data.size={size} is not a multiple of 16, which moving needs. Choose 32 or 64, for example'
    )
  side, first = size * 7 // 16, 0 if split == 'train' else COUNTS['train']
  images, labels = sprites(split, side)

  def rows(index):
    number = jnp.asarray(index).astype(jnp.uint32) + np.uint32(first)
    digit, corner = paths(number, len(images), frames)
    video = place(jnp.asarray(images)[digit], corner * size // SIZE, size)
    video = jnp.repeat(video[..., None], channels or 1, axis=-1)
    return {'video': video, 'label': jnp.asarray(labels)[digit]}

  return rendered(COUNTS[split], rows, 10, f'moving {split}')
