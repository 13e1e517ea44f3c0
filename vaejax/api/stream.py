"""Videos that go on frame by frame."""

from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from vaejax.api import inputs
from vaejax.core.batched import in_batches
from vaejax.errors import UserError


class Stream:
  """n videos, from their first frame on, each frame as soon as it is asked for.

    stream = run.stream(seed=3)
    stream.observe(first_frame[None])  # float32 [1, H, W, C] in [0, 1]
    frame = stream.next()

  Attributes:
    carry: all that the next frame depends on besides its noise, a tree of arrays [n, ...]. It can
      be kept and set again.
    count: the number of frames so far. The noise of a frame depends on the seed and on it.
  """

  def __init__(self, run, n: int, seed: int):
    self._run, self._n, self._seed = run, n, seed
    self.count = 0
    self.carry: Any = jax.tree.map(np.asarray, run.method.stream.start(n))

  def observe(self, frames: ArrayLike, *, temperature: float = 0.0) -> 'Stream':
    """Goes on with given frames [n, H, W, C]. Their latents are the means of their posteriors, or
    with a `temperature` draws."""
    shape = self._run.example.fields[self._run.example.data].shape[1:]
    x = inputs.array('frames', frames)
    if x.shape != (self._n, *shape):
      raise UserError(
        f'frames has the shape {list(x.shape)}, but one frame of each video is '
        f'[{self._n}, {", ".join(map(str, shape))}]'
      )
    x = inputs.intensities('frames', x, not self._run.example.units)
    self.carry = self._step('observe', {self._run.example.data: x}, temperature)
    return self

  def next(self, *, temperature: float = 1.0) -> np.ndarray:
    """Returns the next frame of every video by its mean, [n, H, W, C] float32. `temperature` scales
    the draw of its latent from the prior."""
    self.carry, frames = self._step('advance', {}, temperature)
    return frames

  def _step(self, name: str, rows: dict, temperature: float):
    key = jax.random.fold_in(jax.random.key(self._seed), self.count)
    self.count += 1
    rows = {**rows, 'carry': self.carry}
    settings = {'temperature': np.float32(inputs.nonnegative('temperature', temperature))}
    program = self._run.program(name)
    run = lambda rows, index: program(self._run.variables, rows, index, key, **settings)
    return in_batches(run, rows, self._n, self._n)
