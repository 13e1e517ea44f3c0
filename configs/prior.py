"""A second stage: another prior for a trained VAE, whose encoder and decoder stay fixed.

  python launch.py train --config=configs/vae.py --workdir=runs/m
  python launch.py train --config=configs/prior.py:runs/m,prior=mixture --workdir=runs/p

Values and costs are in configs/README.md.

The config is that of the first stage, with another prior and other steps. A run resumes
without its first stage, with `python launch.py train --workdir=runs/p`.

Words after the colon: the workdir of the first stage, or of a member such as runs/s/members/3
(without one, an untrained VAE of digits, for 100 steps, as a trial), smoke, key=value.
"""

from pathlib import Path

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import finish, parse_words
from vaejax.errors import UserError


def first_stage(path: str):
  """Returns the config of the run in a workdir. Raises UserError."""
  from vaejax.runs.sweep_files import read_run_config

  config = read_run_config(Path(path))
  if 'prior' not in config.model:
    raise UserError(f'{path} is a run of {config.method}, which has no model.prior. Use a VAE')
  config.unlock()
  config.update({'init_from': path, 'init_checkpoint': 'latest', 'init_nets': (), 'train': ()})
  return config


def get_config(arg=''):
  words = parse_words(arg, dataset='digits')
  if words.dataset == 'digits':
    config = base('vae', {'lr': 1e-3, 'beta': 1.0})
    config.objective = {'name': 'elbo', 'samples': 1, 'kl': 'analytic'}
    config.model = dict(presets.VAE)
    presets.autoencoder_defaults(config, words.dataset)
  else:
    config = first_stage(words.dataset)
  config.objective.base = config.objective.get('base', config.method)
  config.method = 'prior'
  config.model.update({'prior': 'mixture', 'components': 100})
  config.schedule = dict.fromkeys(config.hyper, 'constant')
  config.steps = 3000 if config.init_from else 100
  config.checkpoint.best = ''
  return finish(config, words, presets.TINY if words.dataset == 'digits' else {})
