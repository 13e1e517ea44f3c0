"""Denoising, by a conditional VAE of the clean picture given a noisy one (methods/paired.py).

  python launch.py train --config=configs/denoise.py:emoji --workdir=runs/dn --data_dir=DIR
  python launch.py denoise --workdir=runs/dn

The noise is Gaussian, by default with a standard deviation of 0.2 of the range, and clipped.

Words after the colon: a dataset (digits, emoji, mnist, ... any TFDS name, or a folder), noise=0.2,
lpips, adversarial (a critic of patches), smoke, key=value.
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import finish, parse_words


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=('lpips', 'adversarial'))
  config = base('paired', {'lr': 1e-3, 'beta': 1.0})
  noise = dict(words.settings).get('noise', '0.2')
  presets.predictor(config, words, f'noise:{noise}', size=32)
  rest = tuple(setting for setting in words.settings if setting[0] != 'noise')
  return finish(config, words._replace(settings=rest), presets.TINY_PREDICTOR)
