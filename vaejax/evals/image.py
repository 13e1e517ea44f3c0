"""Sharpness of samples and of reconstructions, compared with that of the data."""

import jax
import jax.numpy as jnp

from vaejax.errors import UserError
from vaejax.estimates import means
from vaejax.eval_type import Eval
from vaejax.types import Example, Method


def sharpness(image: jax.Array) -> jax.Array:
  """The variance of the Laplacian of images in [0, 1], averaged over channels: [B, H, W, C] -> [B].

  The Laplacian is the sum of a pixel's four neighbours minus four times the pixel, at the pixels
  that have four (Pech-Pacheco et al. 2000, ICPR, section 2). Blur lowers the variance and noise
  raises it, so a value above that of the data is not better.
  """
  inner = image[:, 1:-1, 1:-1]
  horizontal = image[:, 1:-1, :-2] + image[:, 1:-1, 2:]
  vertical = image[:, :-2, 1:-1] + image[:, 2:, 1:-1]
  return jnp.mean(jnp.var(horizontal + vertical - 4 * inner, axis=(1, 2)), axis=-1)


def make(method: Method, config, example: Example) -> Eval:
  """`sharpness` of samples, as many as the split has rows, and `sharpness_data` of the split, with
  images in [0, 1]. If the method reconstructs, also `sharpness_reconstruction`, of reconstructions
  from the posterior mean. All are means over images.

  Raises UserError for a method without samples, and for data other than images of at least 3x3
  pixels with values in [0, 1].
  """
  if example.units:
    raise UserError(
      'the image eval needs images in [0, 1], but the data is real numbers in arbitrary units'
    )
  if method.sample is None:
    raise UserError(f'the image eval needs samples, but the method {config.method!r} has none')
  shape = example.fields['image'].shape if 'image' in example.fields else (0, 0, 0)
  if min(shape[:2]) < 3:
    raise UserError(
      f'the image eval needs images of at least 3x3 pixels, but the data is {example.data}s of '
      f'shape {example.fields[example.data].shape}'
    )
  reconstructs = 'reconstruct' in method.predict

  def extract_samples(variables, batch, key, hyper):
    return {}, {'sharpness': sharpness(example.to_unit(batch['image']))}

  def extract_data(variables, batch, key, hyper):
    metrics = {'sharpness_data': sharpness(example.to_unit(batch['image']))}
    if reconstructs:
      predicted = method.predict['reconstruct'](variables, batch, key)['image']
      metrics['sharpness_reconstruction'] = sharpness(example.to_unit(predicted))
    return {}, metrics

  def finish(sums, rows):
    return means(rows['samples']) | means(rows['test'])

  names = ['sharpness', 'sharpness_data']
  names += ['sharpness_reconstruction'] if reconstructs else []
  protocol = {'images': 'in [0, 1]; decoders give the means of p(x|z)'}
  return Eval({'samples': extract_samples, 'test': extract_data}, finish, lambda: names, protocol)
