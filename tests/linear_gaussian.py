"""Linear-Gaussian models, of which every conditional distribution is known: x = W z + c + noise."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from vaejax.compound import Chain, Reversed
from vaejax.distributions import Gaussian, standard
from vaejax.types import Latent

SHAPE, L = (2, 4, 1), 2
SIZE = math.prod(SHAPE)
NOISE, SHIFT, INNER = 0.5, 0.4, 0.6
RNG = np.random.default_rng(3)
# Orthogonal columns, so that q(z|x) is diagonal and exact.
W = (np.linalg.qr(RNG.normal(size=(SIZE, L)))[0] * [2.0, 1.2]).astype(np.float32)
IMAGE = RNG.normal(size=SHAPE).astype(np.float32)
SEEN = np.array([[1, 1, 0, 0], [1, 0, 0, 0]], np.float32)[..., None]
SUM = np.kron(np.eye(2), np.full((1, 4), 0.25)).astype(np.float32)  # the mean of each row


def decode(z):
  return Gaussian((z @ W.T).reshape(-1, *SHAPE), jnp.full((len(z), *SHAPE), math.log(NOISE)))


def simple(conditional=False) -> Latent:
  """p(z) = N(SHIFT * label, 1), label 0 without conditions."""

  def centre(n, given):
    return SHIFT * given['label'][:, None] * jnp.ones((n, L)) if conditional else jnp.zeros((n, L))

  def prior(v, n, given):
    return Gaussian(centre(n, given), jnp.zeros((n, L))), v

  def posterior(v, batch, train=False):
    x = batch['image'].reshape(-1, SIZE)
    variance = 1 / (1 + (W**2).sum(0) / NOISE**2)
    mean = variance * (centre(len(x), batch) + x @ W / NOISE**2)
    return Gaussian(mean, jnp.broadcast_to(0.5 * jnp.log(variance), mean.shape)), v

  def likelihood(v, z, given, target=None, train=False):
    return decode(z), v

  return Latent(prior, posterior, likelihood, conditions=('label',) if conditional else ())


def hierarchy() -> Latent:
  """A tuple (z_1, z_2): z_2 is standard, z_1 given z_2 is N(INNER z_2, 1)."""

  def prior(v, n, given):
    link = jax.tree_util.Partial(below)
    return Reversed(Chain(standard((n, L)), (link,))), v

  def posterior(v, batch, train=False):
    """Not exact: importance weights have to correct it."""
    first, _ = simple().posterior(v, batch)
    return Chain(first, (jax.tree_util.Partial(above),)), v

  def likelihood(v, z, given, target=None, train=False):
    return decode(z[0]), v

  return Latent(prior, posterior, likelihood)


def below(values):
  return Gaussian(INNER * values[-1], jnp.zeros_like(values[-1]))


def above(values):
  return Gaussian(0.5 * values[-1], jnp.zeros_like(values[-1]))


def conditional(a, y, noise, mean=None, covariance=None):
  """The mean, the covariance of z and log p(y), where y = a z + noise and z is N(mean, covariance),
  by default the standard one."""
  a, y = np.asarray(a, np.float64), np.asarray(y, np.float64)
  mean = np.zeros(a.shape[1]) if mean is None else mean
  covariance = np.eye(a.shape[1]) if covariance is None else covariance
  marginal = a @ covariance @ a.T + noise**2 * np.eye(len(y))
  error = y - a @ mean
  gain = covariance @ a.T @ np.linalg.inv(marginal)
  log_p = -0.5 * (error @ np.linalg.solve(marginal, error) + np.linalg.slogdet(marginal)[1])
  log_p -= 0.5 * len(y) * math.log(2 * math.pi)
  return mean + gain @ error, covariance - gain @ a @ covariance, log_p


def of_seen():
  """a and y of the seen elements."""
  index = SEEN.ravel() > 0
  return W[index], IMAGE.ravel()[index]


MASKED = {'image': IMAGE, 'seen': SEEN}
