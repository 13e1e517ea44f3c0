"""β-VAE (Higgins et al. 2017): the KL is weighted by `hyper.beta`.

  python launch.py train --config=configs/beta_vae.py:shapes --workdir=runs/b

Cost on two CPU cores and expected number, seed 0: digits 7 s, test loss 105.0 nats (ELBO -98.8:
beta = 4 leaves a KL of 2 nats on images of 64 pixels). shapes,steps=2000 takes 3 min 27 s of
processor time, test loss 150.2 nats (ELBO -115.0): blobs of the right place and size. The default
20,000 steps take ten times as long and were not measured.

`hyper.capacity` sets a capacity (Burgess et al. 2018, arXiv:1804.03599), `hyper.free_bits` free
bits (Kingma et al. 2016).

Words after the colon: a dataset (digits, shapes, mnist, ... any TFDS name), lpips (see
configs/vae.py), smoke, key=value.
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import finish, parse_words


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=('lpips',))
  config = base('vae', {'lr': 5e-4, 'beta': 4.0, 'capacity': 0.0, 'free_bits': 0.0})
  config.objective = {'name': 'elbo', 'samples': 1, 'kl': 'analytic'}
  if words.options:
    presets.add_lpips(config)
  config.model = dict(presets.VAE)
  presets.autoencoder_defaults(config, words.dataset)
  config.model.latents = 10
  config.batch_size = 64
  digits = words.dataset == 'digits'
  config.steps = 3000 if digits else presets.autoencoder_steps(words.dataset)
  return finish(config, words, presets.TINY)
