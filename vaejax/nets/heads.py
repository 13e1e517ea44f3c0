"""The last step of a net: features become the parameters of a distribution, in float32."""

import math

import jax.numpy as jnp
from flax import linen as nn

from vaejax.distributions import Bernoulli, Categorical, DiscretisedLogistic, Gaussian, Laplace
from vaejax.errors import UserError
from vaejax.types import Example

# Beyond e^±7 a scale is an overflow in waiting, not a model of images.
LOG_SCALE = 7.0

# Features per image channel that a decoder gives to each likelihood; None: one per level.
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


def features(kind: str, channels: int, levels: int) -> int:
  """How many channels the decoder gives for images of `channels`, of `levels` values each, 0: real
  numbers. Raises UserError for a likelihood of discrete values where the data has none."""
  if not levels and kind in DISCRETE:
    raise UserError(
      f'model.likelihood={kind} is of 8-bit images, and the data is real numbers: set it to '
      f'{", ".join(k for k in LIKELIHOODS if k not in DISCRETE)}; or give uint8'
    )
  return channels * (LIKELIHOODS[kind] or levels)


def discrete(kind: str, example: Example) -> int:
  """How many discrete values the likelihood sees in an example; 0 where it is a density."""
  counted = example.levels == 2 if kind == 'bernoulli' else kind in DISCRETE
  return math.prod(example.fields[example.data].shape) if counted else 0


class GaussianHead(nn.Module):
  """[B, F] -> a diagonal Gaussian over [B, latents]; the layer gives mean and log variance."""

  latents: int

  @nn.compact
  def __call__(self, x):
    mean, log_variance = jnp.split(nn.Dense(2 * self.latents)(x.astype(jnp.float32)), 2, axis=-1)
    return Gaussian(mean, jnp.clip(0.5 * log_variance, -LOG_SCALE, LOG_SCALE))


class LikelihoodHead(nn.Module):
  """[B, H, W, features] -> p(x|z) over [B, H, W, C].

  kinds: bernoulli; gaussian (fixed `scale`); gaussian_scalar (one learned scale, from `scale` on);
  gaussian_pixel (a scale per pixel, at least `floor`); sigma_vae (the scale that is optimal for
  the batch while training, its running mean otherwise; Rybkin et al. 2021, section 3.3); laplace
  (one learned scale likewise); logistic (discretised, mean and scale per element); categorical.

  `target` is the data while training; only the sigma_vae looks at it.
  """

  kind: str
  low: float = 0.0
  high: float = 1.0
  levels: int = 256
  scale: float = 1.0
  floor: float = 0.01

  @nn.compact
  def __call__(self, x, target=None, train=False):
    x = x.astype(jnp.float32)
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
    # The floor is added, as for a pixel's: a clipped scale could never leave it again.
    start = nn.initializers.constant(jnp.log(self.scale))
    log_scale = self.param('log_scale', start, ())
    log_scale = jnp.logaddexp(log_scale, jnp.log(self.floor))
    return (Laplace if self.kind == 'laplace' else Gaussian)(x, log_scale)

  def optimal_log_scale(self, mean, target, train):
    running = self.variable('batch_stats', 'variance', jnp.ones, ())
    if not train:
      return 0.5 * jnp.log(running.value)
    variance = jnp.maximum(jnp.mean(jnp.square(target - mean)), self.floor**2)
    running.value = 0.95 * running.value + 0.05 * variance
    return 0.5 * jnp.log(variance)
