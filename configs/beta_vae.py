"""β-VAE (Higgins et al. 2017), which weights the KL by `hyper.beta`, and β-TCVAE, FactorVAE,
DIP-VAE-I and DIP-VAE-II.

  python launch.py train --config=configs/beta_vae.py:shapes --workdir=runs/b
  python launch.py train --config=configs/beta_vae.py:shapes,tcvae --workdir=runs/tc
  python launch.py evaluate --workdir=runs/tc --evals=disentangle,latent

Values and costs are in configs/README.md. The default 20,000 steps of shapes take ten times as long
as the row there.

`hyper.capacity` sets a capacity (Burgess et al. 2018, arXiv:1804.03599), `hyper.free_bits` free
bits (Kingma et al. 2016).

Words after the colon: a dataset (digits, shapes, mnist, ... any TFDS name), one of the methods
below, smoke, key=value.

  tcvae           hyper.alpha, beta, gamma weight mutual information, total correlation and
                  dimension-wise KL (Chen et al. 2018); objective.estimator: weighted, stratified
  factor          hyper.gamma weights the critic's total correlation (Kim & Mnih 2018)
  dip_i, dip_ii   hyper.off_diagonal, diagonal weight the covariance (Kumar et al. 2018)
"""

from vaejax.config import presets
from vaejax.config.base import base, player
from vaejax.config.words import choose_one, finish, parse_words

ELBO = {'name': 'elbo', 'samples': 1, 'kl': 'analytic'}
LIMITS = {'capacity': 0.0, 'free_bits': 0.0}
# {word: (method, hyper, what its objective adds)}.
METHODS = {
  'beta': ('vae', {'beta': 4.0, **LIMITS}, {}),
  'tcvae': (
    'tcvae',
    {'alpha': 1.0, 'beta': 6.0, 'gamma': 1.0},
    {'base': 'vae', 'estimator': 'weighted', 'rows': 0},
  ),
  'factor': ('factorvae', {'lr_critic': 1e-4, 'beta': 1.0, 'gamma': 35.0}, {'base': 'vae'}),
  'dip_i': (
    'dipvae',
    {'beta': 1.0, **LIMITS, 'off_diagonal': 10.0, 'diagonal': 100.0},
    {'base': 'vae', 'kind': 'i'},
  ),
  'dip_ii': (
    'dipvae',
    {'beta': 1.0, **LIMITS, 'off_diagonal': 10.0, 'diagonal': 10.0},
    {'base': 'vae', 'kind': 'ii'},
  ),
}


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=tuple(METHODS))
  method, hyper, objective = METHODS[choose_one(words.options, METHODS, 'beta')]
  config = base(method, {'lr': 5e-4} | hyper)
  config.objective = ELBO | objective
  config.model = dict(presets.VAE)
  presets.autoencoder_defaults(config, words.dataset)
  config.model.latents = 10
  config.batch_size = 64
  digits = words.dataset == 'digits'
  config.steps = 3000 if digits else presets.autoencoder_steps(words.dataset)
  smoke = presets.TINY
  if 'lr_critic' in hyper:
    # The paper's critic: Adam at 1e-4 with b1 = 0.5, b2 = 0.9.
    critic = {'widths': (1000,) * 6, 'activation': 'leaky_relu', 'norm': 'none', 'dtype': 'float32'}
    config.model.critic = critic
    config.optimizer.critic = player(b1=0.5, b2=0.9)
    smoke = smoke | {'model.critic.widths': (32, 32), 'hyper.lr_critic': 2e-3}
  return finish(config, words, smoke)
