"""Style transfer.

Words after the colon: a dataset with classes (digits, mnist, cifar10_jpeg, ... any TFDS name),
smoke, key=value.
"""

from vaejax import presets
from vaejax.configuration import base, finish, words

# Of the terms of the loss, see methods/style.py.
WEIGHTS = {'beta_content': 1.0, 'beta_style': 4.0}
WEIGHTS |= {'style': 20.0, 'code': 0.2, 'content': 0.1, 'transfer': 1.0}


def get_config(arg=''):
  asked = words(arg, dataset='digits')
  config = base('style', {'lr': 2e-3, **WEIGHTS})
  presets.transfer(config, asked.dataset)
  config.schedule.lr = 'cosine'
  config.batch_size = 32
  config.steps = 4000
  config.eval.size = 2000
  tiny = {'model.channels': (8, 8), 'model.widths': (16,), 'model.latents': 4}
  tiny |= {f'model.style.{name[6:]}': value for name, value in tiny.items()}
  return finish(config, asked, tiny)
