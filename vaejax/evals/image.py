"""What images look like, without a judge: how sharp samples are, how near reconstructions come."""

import jax
import jax.numpy as jnp

from vaejax.errors import UserError
from vaejax.evals.means import means
from vaejax.metrics.similarity import psnr
from vaejax.types import Eval, Example, Method


def sharpness(image: jax.Array) -> jax.Array:
  """The variance of the Laplacian of images in [0, 1], [B, H, W, C] -> [B], a mean over channels:
  of the sum of a pixel's four neighbours less four times itself, at the pixels that have them
  (Pech-Pacheco et al. 2000, ICPR, section 2). Blur lowers it and noise raises it: to be above
  the data is no merit."""
  inner = image[:, 1:-1, 1:-1]
  across = image[:, 1:-1, :-2] + image[:, 1:-1, 2:]
  down = image[:, :-2, 1:-1] + image[:, 2:, 1:-1]
  return jnp.mean(jnp.var(across + down - 4 * inner, axis=(1, 2)), axis=-1)


def make(method: Method, config, example: Example) -> Eval:
  """`sharpness` of as many samples as the split has rows, `sharpness_data` of the split, both in
  [0, 1] as the run was trained on them. Where the method reconstructs, also
  `sharpness_reconstruction`, and of reconstructions from the posterior's mean the mean squared
  error `mse` and `psnr` in dB, both the mean over images.

  Raises UserError for a method without samples and for data that are not images of 3x3 at least.
  """
  if not example.levels:
    raise UserError('image is of images in [0, 1], and these are real numbers in their own units')
  if method.sample is None:
    raise UserError(f'image needs samples, which {config.method} does not give')
  shape = example.fields['image'].shape if 'image' in example.fields else (0, 0, 0)
  if min(shape[:2]) < 3:
    raise UserError('image takes data of images, of 3x3 pixels at least')
  again = 'reconstruct' in method.predict

  def look_samples(variables, batch, key, hyper):
    return {}, {'sharpness': sharpness(example.to_unit(batch['image']))}

  def look(variables, batch, key, hyper):
    image = example.to_unit(batch['image'])
    found = {'sharpness_data': sharpness(image)}
    if again:
      other = example.to_unit(method.predict['reconstruct'](variables, batch, key)['image'])
      found['sharpness_reconstruction'] = sharpness(other)
      found['mse'] = jnp.mean(jnp.square(image - other), axis=(1, 2, 3))
      found['psnr'] = psnr(image, other)
    return {}, found

  def finish(sums, rows):
    return means(rows['samples']) | means(rows['test'])

  names = ['sharpness', 'sharpness_data']
  names += ['sharpness_reconstruction', 'mse', 'psnr'] if again else []
  protocol = {'images': 'in [0, 1], of decoders the means of p(x|z)'}
  return Eval({'samples': look_samples, 'test': look}, finish, lambda: names, protocol)
