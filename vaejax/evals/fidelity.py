"""Accuracy of reconstructions: MSE, PSNR, SSIM and LPIPS."""

import jax.numpy as jnp

from vaejax.errors import UserError
from vaejax.estimates import means
from vaejax.eval_type import Eval
from vaejax.metrics.similarity import WINDOW, psnr, ssim
from vaejax.perceptual import images, lpips, weights
from vaejax.types import Example, Method

# {name of a value: the net}. Both need the extra `perceptual`.
LPIPS = {'lpips_alex': 'alex', 'lpips_vgg': 'vgg'}


def make(method: Method, config, example: Example) -> Eval:
  """`mse`, `psnr` in dB, `ssim`, and `lpips_alex` and `lpips_vgg` if the extra `perceptual` is
  installed: means over the images of the split, in [0, 1], of their reconstructions from the
  posterior means.

  SSIM is left out for images smaller than 7x7. Raises UserError for a method that does not
  reconstruct, and for data that is not images with values in [0, 1].
  """
  if 'reconstruct' not in method.predict:
    raise UserError(
      f'the fidelity eval needs reconstructions, but the method {config.method!r} has none'
    )
  if example.units:
    raise UserError(
      'the fidelity eval needs images in [0, 1], but the data is real numbers in arbitrary units'
    )
  if example.data != 'image':
    raise UserError(f'the fidelity eval needs images, but the data is {example.data}s')
  shape = example.fields['image'].shape
  metrics = {'mse': lambda x, y: jnp.mean(jnp.square(x - y), axis=(1, 2, 3)), 'psnr': psnr}
  metrics |= {'ssim': ssim} if min(shape[:2]) >= WINDOW else {}
  perceptual = weights.is_installed() and shape[-1] in images.CHANNELS
  nets = LPIPS if perceptual else {}
  metrics |= {name: lpips.distance(net, 'lax') for name, net in nets.items()}

  def extract(variables, batch, key, hyper):
    predicted = method.predict['reconstruct'](variables, batch, key)['image']
    image, reconstruction = example.to_unit(batch['image']), example.to_unit(predicted)
    return {}, {name: metric(reconstruction, image) for name, metric in metrics.items()}

  protocol = {'images': 'in [0, 1], reconstructions from the posterior means'}
  protocol |= {'ssim': f'{WINDOW}x{WINDOW} windows'} if 'ssim' in metrics else {}
  protocol |= {name: lpips.describe(net, shape) for name, net in nets.items()}
  finish = lambda sums, rows: means(rows['test'])
  return Eval({'test': extract}, finish, lambda: list(metrics), protocol)
