"""IWAE (Burda et al. 2016, arXiv:1509.00519): the K-sample bound, K = `objective.samples`.

  python launch.py train --config=configs/iwae.py:mnist --workdir=runs/i --data_dir=DIR
  python launch.py evaluate --workdir=runs/i --evals=elbo,nll

The paper's one-layer net (784-200-200-50 tanh) on dynamically binarised MNIST. K = 1 is the VAE:
`configs/iwae.py:mnist,samples=1`. The word `paper` asks for the paper's own schedule: batch 20, 3280
epochs, the rate 1e-3 * 10^(-i/7) for 3^i epochs, i = 0 ... 7.

Words after the colon: a dataset (digits, shapes, mnist, ... any TFDS name), paper, smoke, key=value.
"""

from vaejax import presets
from vaejax.configuration import base, finish, words


def get_config(arg=''):
  paper = 'paper' in arg.split(',')
  asked = words(','.join(w for w in arg.split(',') if w != 'paper'), dataset='mnist')
  config = base('vae', {'lr': 1e-3, 'beta': 1.0})
  config.objective = {'name': 'iwae', 'samples': 5, 'kl': 'sampled'}
  config.model = dict(presets.AUTOENCODER)
  presets.suit(config, asked.dataset)
  config.checkpoint.best = 'iwae'
  return finish(config, asked, presets.TINY)
