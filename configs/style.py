"""Style transfer.

Words after the colon: a dataset with classes (digits, mnist, cifar10_jpeg, ... any TFDS name),
smoke, key=value.
"""

from vaejax import presets
from vaejax.configuration import base, finish, words

NET = {
  'channels': (24, 48),
  'strides': (),
  'kernel': 3,
  'widths': (128,),
  'activation': 'leaky_relu',
  'norm': 'none',
  'dtype': 'float32',
}


def get_config(arg=''):
  asked = words(arg, dataset='digits')
  weights = {'beta_content': 2.0, 'beta_style': 0.5, 'style': 30.0, 'content': 1.0, 'back': 0.5}
  config = base('style', {'lr': 2e-3, **weights})
  config.data.name = asked.dataset
  config.data.styles = presets.styles(asked.dataset)
  config.model = {**NET, 'latents': 24, 'spatial': False, 'even': True}
  config.model.update({'likelihood': 'gaussian', 'scale': 0.3, 'floor': 0.01})
  config.model.style = {**NET, 'latents': 8}
  config.schedule.lr = 'cosine'
  config.batch_size = 32
  config.steps = 4000
  if config.data.styles == 'photographs':
    config.model.update({'channels': (32, 48), 'strides': (2, 1), 'latents': 8, 'scale': 0.05})
    config.model.update({'spatial': True, 'even': False})
    config.model.style.update({'channels': (32, 64), 'strides': (2, 2), 'latents': 16})
    config.steps = 4000
  config.eval.size = 2000
  tiny = {'model.channels': (8, 8), 'model.widths': (16,), 'model.latents': 4}
  tiny |= {f'model.style.{name[6:]}': value for name, value in tiny.items()}
  return finish(config, asked, tiny)
