"""Conditional VAE (Sohn et al. 2015): each class has its own weights and its own prior p(z|y).

  python launch.py train --config=configs/cvae.py --workdir=runs/cvae
  python launch.py train --config=configs/cvae.py:mnist --workdir=runs/c --data_dir=DIR
  python launch.py sample --workdir=runs/c --label=7
  python launch.py evaluate --workdir=runs/c --evals=elbo,judge

Values and costs are in configs/README.md. The judge (configs/judge.py) counts the samples that show
their label. The ELBO bounds log p(x|y).

The label is crossed with the encoder's features and with the latents, which gives each class its
own weights there.

Words after the colon: a dataset with classes (digits, mnist, ... any TFDS name), lpips (see
configs/vae.py), smoke, key=value.
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import finish, parse_words


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=('lpips',))
  config = base('vae', {'lr': 1e-3, 'beta': 1.0, 'capacity': 0.0, 'free_bits': 0.0})
  config.objective = {'name': 'elbo', 'samples': 1, 'kl': 'analytic'}
  if words.options:
    presets.add_lpips(config)
  config.model = {**presets.VAE, 'conditional': True, 'prior': 'by_class'}
  presets.autoencoder_defaults(config, words.dataset)
  config.steps = 1000  # for digits: with data.validation=0.2 the validation ELBO falls after that
  if words.dataset != 'digits':
    config.steps = 15_000
    config.schedule.lr = 'cosine'
  if config.model.net == 'mlp':
    config.model.latents = 10
    config.model.widths = (128,) if words.dataset == 'digits' else (500, 500)
  return finish(config, words, presets.TINY)
