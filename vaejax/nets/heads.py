"""Heads: the last layer of a net, from features to the parameters of a distribution in float32."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from vaejax.distributions import (
  Bernoulli,
  Categorical,
  DiscretisedLogistic,
  Gaussian,
  InUnits,
  Laplace,
)
from vaejax.errors import UserError
from vaejax.lookup import choice
from vaejax.nets.blocks import LECUN
from vaejax.types import Example
from vaejax.units import Units

MIN_MEAN = 0.001  # as in Burda et al.'s code, see LikelihoodHead.centred
LOG_SCALE = 7.0  # log scales are clipped to ±7, where float32 is far from overflow

# The number of features per image channel for each likelihood; None is one per level.
LIKELIHOODS = {
  'bernoulli': 1,
  'gaussian': 1,
  'gaussian_scalar': 1,
  'gaussian_pixel': 2,
  'sigma_vae': 1,
  'laplace': 1,
  'logistic': 2,
  'categorical': None,
}
DISCRETE = ('bernoulli', 'logistic', 'categorical')


MAX_CATEGORIES = 1024


def features(kind: str, channels: int, example: Example) -> int:
  """The number of output channels of a decoder of images with `channels`.

  Raises UserError for a discrete likelihood that does not fit the data: of floats or transformed
  numbers, 'bernoulli' of 16 bits, or 'categorical' of more than MAX_CATEGORIES levels.
  """
  levels, densities = example.levels, [k for k in LIKELIHOODS if k not in DISCRETE]
  fits = levels and not (example.units and kind == 'bernoulli')
  if example.units and example.units.transform != 'none':
    fits = False
  if kind == 'categorical':
    fits = fits and levels <= MAX_CATEGORIES
  if kind in DISCRETE and not fits:
    what = f'{levels:,} levels' if levels else 'real numbers'
    raise UserError(
      f'model.likelihood={kind} does not fit data of {what}. Set it to one of '
      f'{", ".join(densities)}'
    )
  return channels * (LIKELIHOODS[kind] or levels)


def likelihood(model, example: Example) -> 'LikelihoodHead':
  """The head of a config's `model`. Raises UserError for a likelihood that does not exist or does
  not fit the data."""
  choice('model.likelihood', model.likelihood, LIKELIHOODS)
  check_range(model.likelihood, example)
  return LikelihoodHead(
    model.likelihood,
    example.low,
    example.high,
    example.levels,
    model.scale,
    model.floor,
    example.units,
    centred(model),
  )


def centred(model) -> bool:
  """Whether `model.bias` sets the initial biases to the logits of the data's means. Raises
  UserError for a likelihood without logits of pixels."""
  bias = choice('model.bias', model.get('bias', 'zero'), {'zero', 'data'})
  if bias == 'data' and model.likelihood != 'bernoulli':
    raise UserError(
      f'model.bias=data needs model.likelihood=bernoulli, but it is {model.likelihood}. Set it to '
      'zero'
    )
  return bias == 'data'


def check_range(kind: str, example: Example) -> None:
  """Raises UserError if the likelihood is bernoulli and images are not in [0, 1]."""
  if kind == 'bernoulli' and not example.units and (example.low, example.high) != (0, 1):
    raise UserError(
      'model.likelihood=bernoulli needs data from 0 to 1, but it has values from '
      f'{example.low:g} to {example.high:g}. Set data.scale=unit'
    )


def discrete(kind: str, example: Example) -> int:
  """The number of discrete values in an example under a likelihood; 0 for a density."""
  is_discrete = example.levels == 2 if kind == 'bernoulli' else kind in DISCRETE
  return math.prod(example.fields[example.data].shape) if is_discrete else 0


class Target(NamedTuple):
  """The data of one of several equal microbatches, and the mean squared error of the decoder over
  the whole batch, `variance`, for `sigma_vae`."""

  x: jax.Array
  variance: jax.Array
  microbatches: int


def mean_logits(x) -> jax.Array:
  """The logits [H, W, C] of the mean over rows of x [B, H, W, C] in [0, 1], clipped to MIN_MEAN."""
  mean = jnp.clip(jnp.mean(x, axis=0), MIN_MEAN, 1 - MIN_MEAN)
  return jnp.log(mean) - jnp.log1p(-mean)


class GaussianHead(nn.Module):
  """[B, F] -> a diagonal Gaussian over [B, latents]. The layer outputs mean and log variance.
  `initial` is the initialiser of its kernel."""

  latents: int
  initial: Callable = LECUN

  @nn.compact
  def __call__(self, x):
    layer = nn.Dense(2 * self.latents, kernel_init=self.initial)
    mean, log_variance = jnp.split(layer(x.astype(jnp.float32)), 2, axis=-1)
    return Gaussian(mean, jnp.clip(0.5 * log_variance, -LOG_SCALE, LOG_SCALE))


class LikelihoodHead(nn.Module):
  """[B, H, W, features] -> p(x|z) over [B, H, W, C].

  Kinds:
    bernoulli, categorical.
    gaussian: with a fixed `scale`.
    gaussian_scalar, laplace: with one learned scale, initially `scale`.
    gaussian_pixel: with a scale per pixel, at least `floor`.
    sigma_vae: with the optimal scale for the batch in training, and its running mean otherwise
      (Rybkin et al. 2021, section 3.3). It alone uses `target`, the data in training or a Target.
    logistic: discretised, with mean and scale per element.

  With `centred`, which is for bernoulli, the logits of the mean of the first `target`, clipped to
  MIN_MEAN, are always added to x. For most optimizers this equals initial biases of the layer
  before.

  Densities of real numbers are in their own units; scales are of the data inside a method.
  """

  kind: str
  low: float = 0.0
  high: float = 1.0
  levels: int = 256
  scale: float = 1.0
  floor: float = 0.01
  units: Units | None = None
  centred: bool = False

  @nn.compact
  def __call__(self, x, target=None, train=False):
    x = x.astype(jnp.float32)
    if self.centred:
      x = x + self.variable('data', 'logits', lambda: mean_logits(target)).value
    p = self.parameters_of(x, target, train)
    return InUnits(p, self.units) if self.units and self.kind not in DISCRETE else p

  def parameters_of(self, x, target, train):
    """The distribution of the data inside a method."""
    if self.kind == 'bernoulli':
      return Bernoulli(x)
    if self.kind == 'categorical':
      return Categorical(x.reshape(*x.shape[:-1], -1, self.levels), self.low, self.high)
    if self.kind in ('gaussian_pixel', 'logistic'):
      mean, raw = jnp.split(x, 2, axis=-1)
      if self.kind == 'gaussian_pixel':
        return Gaussian(mean, jnp.log(self.floor + nn.softplus(raw)))
      log_scale = jnp.clip(raw - 2, -LOG_SCALE, LOG_SCALE)
      return DiscretisedLogistic(mean, log_scale, self.low, self.high, self.levels)
    if self.kind == 'gaussian':
      return Gaussian(x, jnp.log(self.scale))
    if self.kind == 'sigma_vae':
      return Gaussian(x, self.optimal_log_scale(x, target, train))
    # The floor is added rather than clipped to, because a clipped scale has no gradient.
    start = nn.initializers.constant(jnp.log(self.scale))
    log_scale = self.param('log_scale', start, ())
    log_scale = jnp.logaddexp(log_scale, jnp.log(self.floor))
    return (Laplace if self.kind == 'laplace' else Gaussian)(x, log_scale)

  def optimal_log_scale(self, mean, target, train):
    running = self.variable('batch_stats', 'variance', jnp.ones, ())
    if not train:
      return 0.5 * jnp.log(running.value)
    # Without a gradient, which is 0 at the optimum.
    if isinstance(target, Target):
      variance, decay = target.variance, 0.95 ** (1 / target.microbatches)
    else:
      variance, decay = jnp.mean(jnp.square(target - mean)), 0.95
    variance = jax.lax.stop_gradient(jnp.maximum(variance, self.floor**2))
    running.value = decay * running.value + (1 - decay) * variance
    return 0.5 * jnp.log(variance)
