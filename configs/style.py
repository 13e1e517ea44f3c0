"""Style transfer.

Words after the colon: a dataset with classes (digits, mnist, cifar10_jpeg, ... any TFDS name),
smoke, key=value.
"""

from vaejax import presets
from vaejax.configuration import base, finish, words


def get_config(arg=''):
  asked = words(arg, dataset='digits')
  config = base('style', {'lr': 2e-3, **presets.TRANSFER_WEIGHTS})
  presets.transfer(config, asked.dataset)
  config.schedule.lr = 'cosine'
  config.batch_size = 32
  config.steps = 4000
  config.eval.size = 2000
  return finish(config, asked, presets.TINY_TRANSFER)
