"""Translation of pictures of one domain into another, learned from pairs (methods/paired.py).

  python launch.py train --config=configs/translate.py:emoji,lpips --workdir=runs/t --data_dir=DIR
  python launch.py train --config=configs/translate.py:FOLDER,from=A,to=B --workdir=runs/ab
  python launch.py train --config=configs/translate.py:mnist,style=thick --workdir=runs/thick
  python launch.py translate --workdir=runs/t

Without other words, emoji are translated from Google's design to Twitter's. A folder has two
folders A and B with the same file names. With style=NAME the target is the picture in a style of
vaejax/data/device/styles.py, or grey. back swaps source and target.

Words after the colon: a dataset (digits, emoji, mnist, ... any TFDS name, or a folder), from=A and
to=B, style=NAME, back, lpips, adversarial (a critic of patches), smoke, key=value.
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import finish, parse_words
from vaejax.errors import UserError

OWN = 'from', 'to', 'style'
# The same change of both pictures; emoji have a plain edge.
COLOURS = {'hue': 0.3, 'brightness': 0.2, 'contrast': 0.2, 'saturation': 0.3}
MOVES = {'shift': 3, 'rotate': 10.0, 'edge': True}
DESIGNERS = {'from': 'google', 'to': 'twitter'}


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=('back', 'lpips', 'adversarial'))
  config = base('paired', {'lr': 1e-3, 'beta': 1.0})
  given = {key: value for key, value in words.settings if key in OWN}
  if 'style' in given and len(given) > 1:
    raise UserError('style=NAME and from=A,to=B exclude each other. Use one of them')
  if presets.is_drawing(words.dataset) and given.keys() - {'style'}:
    raise UserError(f'{words.dataset} has no domains for from=A,to=B. Use style=NAME')
  rest = tuple(setting for setting in words.settings if setting[0] not in OWN)
  presets.predictor(config, words, source_of(words, given), size=32)
  if words.dataset == 'emoji':
    config.model.width, config.steps = 48, 3500
    config.data.augment.update(COLOURS | MOVES)
  return finish(config, words._replace(settings=rest), presets.TINY_PREDICTOR)


def source_of(words, given) -> str:
  """The `data.source` of the words."""
  back = 'back' in words.options
  if 'style' in given or presets.is_drawing(words.dataset):
    style = given.get('style', 'thick')
    return style if back else f'to:{style}'
  domains = DESIGNERS | given
  first, second = (domains[key] for key in (('to', 'from') if back else ('from', 'to')))
  return f'domain:{first}>{second}'
