"""The judge: a classifier of a dataset, which says what samples of other methods are worth.

  python launch.py train --config=configs/judge.py:mnist --workdir=runs/judge --data_dir=DIR
  python launch.py evaluate --workdir=runs/cvae --evals=judge

Cost on two CPU cores and what it must reach, seed 0: digits 13 s, test accuracy 97 % (of
writers that it has not seen); mnist 1 min 4 s of processor time, 99.2 %, and 99.4 % on validation.
A tenth of the training split is held out for validation. A run that ends is kept as the judge of
its dataset: the user's cache names its workdir, unless it names one that is better on validation.

Two words train judges of images in styles (see vaejax/data/styles.py), which evals/style.py asks:
`content` one that reads the class in every style, `style` one that reads the style. On mnist, seed
0: `content`, steps=3000, 1 min 8 s of processor time, 97.9 % of test labels; `style`, steps=2000,
1 min 43 s, 99.2 % of test styles; its images are softened in training, for else it reads whatever
is soft as slanted. On cifar10_jpeg: `content`, steps=4000, 3 min 51 s, 62.3 %; `style`, steps=1500,
1 min 45 s, 99.1 %.

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
  # Pixels by which an image is moved at most in training, and the field that is read.
  config.objective = {'shift': 2, 'target': 'style' if field == 'style' else 'label'}
  config.model = {**presets.TRUNK, 'net': 'conv', 'widths': (128,), 'norm': 'batch'}
  presets.set_dataset(config, words.dataset)
  config.data.validation = 0.1  # of every class; the best checkpoint is chosen by it
  if field:
    config.data.styles = 'digits' if presets.is_drawing(words.dataset) else 'photographs'
    # A slanted digit is interpolated, and anything soft would be read as one.
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
