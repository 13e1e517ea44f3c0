"""Similarity of two images: peak signal-to-noise ratio and structural similarity."""

import jax
import jax.numpy as jnp

WINDOW = 7  # side of SSIM's square window, in pixels
MIN_ERROR = 1e-10  # lower limit of the mean squared error, so that PSNR is at most 100 dB


def psnr(x: jax.Array, y: jax.Array) -> jax.Array:
  """Peak signal-to-noise ratio in dB of images in [0, 1], [..., H, W, C] -> [...]; at most 100."""
  error = jnp.mean(jnp.square(x - y), axis=(-3, -2, -1))
  return -10 * jnp.log10(jnp.maximum(error, MIN_ERROR))


def ssim(x: jax.Array, y: jax.Array) -> jax.Array:
  """Structural similarity of images in [0, 1], [..., H, W, C] -> [...] (Wang et al. 2004, IEEE
  TIP 13(4), equation 13).

  As scikit-image computes it by default: the mean over channels and over all 7x7 windows within the
  image, with sample variances and covariances, K1 = 0.01 and K2 = 0.03. H and W must be at least 7.
  """
  return jnp.mean(ssim_of_windows(x, y), axis=(-3, -2, -1))


def ssim_of_windows(x: jax.Array, y: jax.Array) -> jax.Array:
  """The structural similarity of every window, [..., H, W, C] -> [..., H - 6, W - 6, C]."""
  c1, c2 = 0.01**2, 0.03**2
  bessel = WINDOW**2 / (WINDOW**2 - 1)
  mean_x, mean_y = _window_mean(x), _window_mean(y)
  variance_x = bessel * (_window_mean(x * x) - mean_x**2)
  variance_y = bessel * (_window_mean(y * y) - mean_y**2)
  covariance = bessel * (_window_mean(x * y) - mean_x * mean_y)
  numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
  denominator = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
  return numerator / denominator


def _window_mean(x: jax.Array) -> jax.Array:
  """The mean of every window: [..., H, W, C] -> [..., H - 6, W - 6, C]."""
  rows, columns = (_averaging_matrix(x.shape[axis]) for axis in (-3, -2))
  return jnp.einsum('ih,...hwc,jw->...ijc', rows, x, columns, precision='highest')


def _averaging_matrix(n: int) -> jax.Array:
  """[n - 6, n]: row i averages entries i to i + 6."""
  start, entry = jnp.arange(n - WINDOW + 1)[:, None], jnp.arange(n)
  return ((entry >= start) & (entry < start + WINDOW)) / WINDOW
