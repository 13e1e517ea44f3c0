"""VAE (Kingma & Welling 2014, arXiv:1312.6114), on any image dataset.

  python launch.py train --config=configs/vae.py --workdir=runs/vae
  python launch.py train --config=configs/vae.py:mnist --workdir=runs/m --data_dir=DIR

Values and costs are in configs/README.md. Test ELBO of digits over 16 seeds:
mean -90.69 nats, standard deviation 0.34 nats, measured on 2026-11-27 on two CPU cores by

  python launch.py sweep --config=configs/vae.py --grid seed=0:16 --workdir=runs/seeds

Words after the colon: a dataset (digits, shapes, mnist, ... any TFDS name), classify, lpips, smoke,
key=value. classify also trains a classifier of z, weighted by hyper.classification. lpips adds the
perceptual distance of the decoder's mean to the image, weighted by hyper.lpips; objective.lpips is
its net, alex or vgg (pip install -e '.[perceptual]').
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import finish, parse_words


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=('classify', 'lpips'))
  hyper = {'lr': 1e-3, 'beta': 1.0, 'capacity': 0.0, 'free_bits': 0.0}
  config = base(
    'classified' if 'classify' in words.options else 'vae',
    hyper | ({'classification': 10.0} if 'classify' in words.options else {}),
  )
  config.objective = {'name': 'elbo', 'samples': 1, 'kl': 'analytic'}
  if 'lpips' in words.options:
    presets.add_lpips(config)
  config.model = dict(presets.VAE)
  presets.autoencoder_defaults(config, words.dataset)
  digits = words.dataset == 'digits'
  config.steps = 3000 if digits else presets.autoencoder_steps(words.dataset)
  return finish(config, words, presets.TINY)
