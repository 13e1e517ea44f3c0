"""Real numbers in their own units, and how a method sees them."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np

TRANSFORMS = ('none', 'asinh', 'log')
MAX_ELEMENTS = 2**24  # about how many elements `fit` uses


@dataclasses.dataclass(frozen=True)
class Units:
  """The map from real numbers x [..., C] in their own units to the data y inside a method.

  y = (T(x) - shift) / scale, where T(x) is x, asinh(x / softening) or log(x). Parameters have an
  entry for each channel, or one for all.

  Attributes:
    low, high: the values of T(x) that pictures show as black and white.
  """

  transform: str = 'none'
  softening: tuple[float, ...] = (1.0,)
  shift: tuple[float, ...] = (0.0,)
  scale: tuple[float, ...] = (1.0,)
  low: tuple[float, ...] = (0.0,)
  high: tuple[float, ...] = (1.0,)

  def forward(self, x):
    """The data inside a method, float32, of numbers in their own units."""
    x = jnp.asarray(x, jnp.float32)
    return (transformed(x, self.transform, self.softening, jnp) - vector(self.shift)) / vector(
      self.scale
    )

  def inverse(self, y):
    """Numbers in their own units, float32, of the data inside a method."""
    u = y * vector(self.scale) + vector(self.shift)
    if self.transform == 'asinh':
      return vector(self.softening) * jnp.sinh(u)
    return jnp.exp(u) if self.transform == 'log' else u

  def log_det(self, y):
    """log |dy/dx| of every element at the data y inside a method."""
    u = y * vector(self.scale) + vector(self.shift)
    constant = -jnp.log(vector(self.scale))
    if self.transform == 'asinh':
      # log cosh(u), without overflow.
      log_cosh = jnp.abs(u) + jnp.log1p(jnp.exp(-2 * jnp.abs(u))) - math.log(2)
      return constant - jnp.log(vector(self.softening)) - log_cosh
    return constant - u if self.transform == 'log' else jnp.broadcast_to(constant, y.shape)

  def picture(self, y):
    """The data inside a method as values in [0, 1], to be shown."""
    u = y * vector(self.scale) + vector(self.shift)
    low, high = vector(self.low), vector(self.high)
    return jnp.clip((u - low) / (high - low), 0.0, 1.0)


def vector(values: tuple[float, ...]):
  """Parameters of the channels as an array that broadcasts over [..., C]."""
  return np.asarray(values, np.float32)


def transformed(x, transform: str, softening, xp=np):
  """T(x) of numbers [..., C]."""
  if transform == 'asinh':
    return xp.arcsinh(x / vector(softening))
  return xp.log(x) if transform == 'log' else x


def fit(
  x: np.ndarray, transform: str = 'none', low: float | None = None, high: float | None = None
):
  """The Units of real numbers [N, ..., C], with zero mean and unit variance inside a method.

  Integers share one scale. Floats have one for each channel, as channels can differ in units.
  Pictures show the range from `low` to `high`, None: that of x; channels share it if there are
  one or three of them, as colours do.

  Raises ValueError if `log` is given numbers that are not positive.
  """
  integers, channels = x.dtype.kind in 'iu', x.shape[-1]
  # Complete rows, because evenly spaced pixels would be those of a few columns.
  x = x[:: max(1, x.size // MAX_ELEMENTS)].reshape(-1, channels).astype(np.float64)
  if transform == 'log' and x.min() <= 0:
    raise ValueError(f'the smallest value is {x.min():g}')
  ends = [x.min(axis=0) if low is None else np.full(channels, low)]
  ends += [x.max(axis=0) if high is None else np.full(channels, high)]
  if channels in (1, 3) or integers:
    ends = [np.full(channels, ends[0].min()), np.full(channels, ends[1].max())]
  softening = np.median(np.abs(x), axis=0)
  softening = np.where(softening > 0, softening, np.abs(x).mean(axis=0))
  softening = np.where(softening > 0, softening, 1.0)
  u = transformed(x, transform, softening)
  axis = None if integers else 0
  shift, scale = np.atleast_1d(u.mean(axis=axis)), np.atleast_1d(u.std(axis=axis))
  scale = np.where(scale > 1e-12, scale, 1.0)
  shown = [transformed(end, transform, softening) for end in ends]
  shown[1] = np.where(shown[1] > shown[0], shown[1], shown[0] + 1.0)
  floats = lambda values: tuple(float(v) for v in values)
  softening = floats(softening) if transform == 'asinh' else (1.0,)
  return Units(transform, softening, floats(shift), floats(scale), *map(floats, shown))
