"""Colours of grey pictures, by a conditional VAE (methods/paired.py).

  python launch.py train --config=configs/colourise.py:emoji --workdir=runs/co --data_dir=DIR
  python launch.py colourise --workdir=runs/co

Each draw of z is another colouring.

Words after the colon: a dataset (emoji, cifar10, ... any TFDS name, or a folder), lpips,
adversarial (a critic of patches), smoke, key=value.
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import finish, parse_words


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=('lpips', 'adversarial'))
  config = base('paired', {'lr': 1e-3, 'beta': 1.0})
  presets.predictor(config, words, 'grey', size=32)
  config.data.channels = 3
  config.objective.share = 0.0
  return finish(config, words, presets.TINY_PREDICTOR)
