"""The judge: a classifier of a dataset, which evaluates the samples of other methods.

  python launch.py train --config=configs/judge.py:mnist --workdir=runs/judge --data_dir=DIR
  python launch.py evaluate --workdir=runs/cvae --evals=judge

Values and costs are in configs/README.md.

A tenth of the training split is held out for validation. A finished run becomes the judge of its
dataset: the user's cache records its workdir, unless the judge there is better on validation.

Two words train judges of images in styles (see vaejax/data/device/styles.py), for evals/style.py:
`content` recognises the class in every style, `style` recognises the style. Images of the latter
are softened in training, because it would take anything soft for slanted.

Words after the colon: a dataset with classes (digits, mnist, ... any TFDS name), content, style,
smoke, key=value.
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import choose_one, finish, parse_words


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=('content', 'style'))
  field = choose_one(words.options, ('content', 'style'), '')
  config = base('classifier', {'lr': 2e-3})
  # The largest shift of a training image in pixels, and the field to predict.
  config.objective = {'shift': 2, 'target': 'style' if field == 'style' else 'label'}
  config.model = {**presets.TRUNK, 'net': 'conv', 'widths': (128,), 'norm': 'batch'}
  presets.set_dataset(config, words.dataset)
  config.data.validation = 0.1  # of every class, to choose the best checkpoint
  if field:
    config.data.styles = 'digits' if presets.is_drawing(words.dataset) else 'photographs'
    # Slanted digits are interpolated: without this, anything soft is taken for slanted.
    config.objective.soften = float(field == 'style' and config.data.styles == 'digits')
  config.schedule.lr = 'cosine'
  config.steps = 5000
  if words.dataset == 'digits':
    config.objective.shift = 1
    config.model.strides = (1, 2)
    config.steps = 1500
  config.checkpoint.best = 'accuracy'
  config.keep_as_judge = True
  return finish(config, words, {'model.widths': (32,), 'model.channels': (8, 8)})
