"""VAE (Kingma & Welling 2014, arXiv:1312.6114), on any image set.

  python launch.py train --config=configs/vae.py --workdir=runs/vae
  python launch.py train --config=configs/vae.py:mnist --workdir=runs/m --data_dir=DIR

Words after the colon: a dataset (digits, shapes, mnist, ... any TFDS name), smoke, key=value.
"""

from vaejax.configuration import base, finish, words


def get_config(arg=''):
  asked = words(arg, dataset='digits')
  config = base('vae', {'lr': 1e-3, 'beta': 1.0, 'capacity': 0.0, 'free_bits': 0.0})
  config.data.name = asked.dataset
  config.objective = {'name': 'elbo', 'samples': 1, 'kl': 'analytic'}
  config.model = {
    'net': 'mlp',  # mlp, conv, resnet
    'latents': 20,
    'likelihood': 'bernoulli',
    'widths': (500,),
    'channels': (32, 64),
    'kernel': 3,
    'blocks': 1,
    'activation': 'relu',
    'norm': 'none',
    'dtype': 'float32',
    'scale': 1.0,
    'floor': 0.01,
  }
  config.checkpoint.best = 'elbo'
  if asked.dataset == 'digits':
    config.steps = 5000
  return finish(config, asked, {'model.widths': (32,), 'model.channels': (8,), 'model.latents': 4})
