"""Inpainting: a missing part of a picture, by a conditional VAE (methods/paired.py).

  python launch.py train --config=configs/inpaint.py:emoji --workdir=runs/in --data_dir=DIR
  python launch.py train --config=configs/inpaint.py:mnist --workdir=runs/in28 --data_dir=DIR
  python launch.py inpaint --workdir=runs/in

The net sees the rest of the picture, where it is, and on photographs and emoji also its mirror
image, from which it predicts the difference. Seen pixels are kept. Each draw of z is another
completion.

Words after the colon: a dataset (digits, emoji, mnist, ... any TFDS name, or a folder), a mask
(half, centre, random, stripes, any; default half), lpips, adversarial (a critic of patches), smoke,
key=value.
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import choose_one, finish, parse_words

MASKS = 'half', 'centre', 'random', 'stripes', 'any'


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=(*MASKS, 'lpips', 'adversarial'))
  config = base('paired', {'lr': 1e-3, 'beta': 1.0})
  mask = choose_one(words.options, MASKS, 'half')
  presets.predictor(config, words, f'mask:{mask}', size=32)
  config.model.mirror = not presets.is_drawing(words.dataset)
  if presets.is_drawing(words.dataset):
    config.model.likelihood = 'bernoulli'
    config.objective.share = 0.1
  else:
    config.model.width, config.steps = 32, 1400  # more steps overfit emoji
  if words.dataset == 'emoji':
    config.data.only = 'google'
  return finish(config, words, presets.TINY_PREDICTOR)
