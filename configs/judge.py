"""The judge: a classifier of a dataset, by which samples of other methods are judged.

  python launch.py train --config=configs/judge.py:mnist --workdir=runs/judge --data_dir=DIR
  python launch.py evaluate --workdir=runs/cvae --evals=judge

Cost on two CPU cores and what it must reach, seed 0: digits ?; mnist ? min, test accuracy ?.
"""

import re

from vaejax import presets
from vaejax.configuration import base, finish, words


def get_config(arg=''):
  asked = words(arg, dataset='digits')
  config = base('classifier', {'lr': 2e-3})
  config.objective = {'shift': 1}  # pixels, by which an image is moved at most
  config.model = {
    **presets.TRUNK,
    'net': 'conv',
    'channels': (32, 64),
    'widths': (128,),
    'norm': 'batch',
  }
  config.data.name = asked.dataset
  suited = presets.PRESETS.get(re.split('[:/]', asked.dataset)[0], {})
  config.update_from_flattened_dict({k: v for k, v in suited.items() if k in SIZE})
  config.schedule.lr = 'cosine'
  config.steps = 1500
  if asked.dataset != 'digits':
    config.objective.shift = 2
    config.steps = 5000
  config.checkpoint.best = 'accuracy'
  return finish(config, asked, {'model.widths': (32,), 'model.channels': (8, 8)})


SIZE = ('data.size', 'data.channels')
