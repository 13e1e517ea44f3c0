"""How alike two images are: peak signal-to-noise ratio and structural similarity."""

import jax
import jax.numpy as jnp

WINDOW = 7  # pixels of SSIM's square window
LEAST = 1e-10  # a mean squared error below is taken for it: 100 dB, not infinity


def psnr(x: jax.Array, y: jax.Array) -> jax.Array:
  """Peak signal-to-noise ratio in dB of images in [0, 1], [..., H, W, C] -> [...]; at most 100."""
  error = jnp.mean(jnp.square(x - y), axis=(-3, -2, -1))
  return -10 * jnp.log10(jnp.maximum(error, LEAST))


def ssim(x: jax.Array, y: jax.Array) -> jax.Array:
  """Structural similarity of images in [0, 1], [..., H, W, C] -> [...] (Wang et al. 2004, IEEE
  TIP 13(4), equation 13), in the form that scikit-image has by default: the mean over all 7x7
  windows that lie within the image and over channels, with sample variances and covariances,
  K1 = 0.01 and K2 = 0.03. Images are of 7x7 pixels at least."""
  a, b = 0.01**2, 0.03**2
  sample = WINDOW**2 / (WINDOW**2 - 1)
  mean_x, mean_y = _mean(x), _mean(y)
  variance_x = sample * (_mean(x * x) - mean_x**2)
  variance_y = sample * (_mean(y * y) - mean_y**2)
  covariance = sample * (_mean(x * y) - mean_x * mean_y)
  alike = (2 * mean_x * mean_y + a) * (2 * covariance + b)
  apart = (mean_x**2 + mean_y**2 + a) * (variance_x + variance_y + b)
  return jnp.mean(alike / apart, axis=(-3, -2, -1))


def _mean(x: jax.Array) -> jax.Array:
  """The mean of every window: [..., H, W, C] -> [..., H - 6, W - 6, C]."""
  down, across = (_bands(x.shape[axis]) for axis in (-3, -2))
  return jnp.einsum('ih,...hwc,jw->...ijc', down, x, across, precision='highest')


def _bands(n: int) -> jax.Array:
  """[n - 6, n]: row i takes the mean of i ... i + 6."""
  start, place = jnp.arange(n - WINDOW + 1)[:, None], jnp.arange(n)
  return ((place >= start) & (place < start + WINDOW)) / WINDOW
