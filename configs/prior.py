"""A second stage: another prior for a trained model, whose encoder and decoder stay as they are.

  python launch.py train --config=configs/vae.py --workdir=runs/m
  python launch.py train --config=configs/prior.py:runs/m,prior=mixture --workdir=runs/p

Words after the colon: the workdir of the first stage (digits: an untrained VAE of them, to try it),
smoke, key=value. The config is that of the first stage, with the prior and the steps of this one.
"""

import json
from pathlib import Path

from vaejax import presets
from vaejax.configuration import base, finish, restore, words
from vaejax.errors import UserError


def first_stage(workdir: str):
  """The config of the run in a workdir. Raises UserError."""
  path = Path(workdir) / 'config.json'
  if not path.is_file():
    raise UserError(f'configs/prior.py:{workdir}: {workdir} is no workdir of a run: name one')
  return restore(json.loads(path.read_text())['config'])


def get_config(arg=''):
  asked = words(arg, dataset='digits')
  if asked.dataset == 'digits':
    config = base('vae', {'lr': 1e-3, 'beta': 1.0})
    config.objective = {'name': 'elbo', 'samples': 1, 'kl': 'analytic'}
    config.model = dict(presets.AUTOENCODER)
    presets.suit(config, asked.dataset)
  else:
    config = first_stage(asked.dataset)
    config.unlock()
    config.init_from = asked.dataset
  config.objective.base, config.method = config.method, 'prior'
  config.model.update({'prior': 'mixture', 'components': 100})
  config.schedule = dict.fromkeys(config.hyper, 'constant')
  config.steps = 3000
  config.checkpoint.best = ''
  return finish(config, asked, presets.TINY if asked.dataset == 'digits' else {})
