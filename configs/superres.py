"""Super-resolution: a picture of 2 or 4 times the size, by a conditional VAE (methods/paired.py).

  python launch.py train --config=configs/superres.py:emoji,lpips --workdir=runs/sr --data_dir=DIR
  python launch.py train --config=configs/superres.py:mnist --workdir=runs/sr7 --data_dir=DIR
  python launch.py superres --workdir=runs/sr

emoji are Google's, from 16 to 64 pixels; the small picture is the mean of squares (a box filter).
The net has residual blocks at the resolution of the small picture, a pixel shuffle, and the bicubic
enlargement as a skip (Lim et al. 2017, arXiv:1707.02921), and z scales its features.

Words after the colon: a dataset (digits, emoji, mnist, ... any TFDS name, or a folder), small=2 or
4, lpips, adversarial (a critic of patches), smoke, key=value.
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import finish, parse_words

TINY = presets.TINY_PREDICTOR | {'model.levels': 0}


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=('lpips', 'adversarial'))
  config = base('paired', {'lr': 1e-3, 'beta': 1.0})
  small = dict(words.settings).get('small', '2' if words.dataset == 'digits' else '4')
  presets.predictor(config, words, f'small:{small}', size=64)
  if 'lpips' in words.options:
    config.hyper.lpips = 1e5  # 64 pixels a side have four times the nats of 32
  if words.dataset == 'emoji':
    config.data.only = 'google'
    config.steps = 4000
  config.model.update({'stem': 1, 'levels': 0, 'blocks': 5, 'activation': 'relu'})
  rest = tuple(setting for setting in words.settings if setting[0] != 'small')
  return finish(config, words._replace(settings=rest), TINY)
