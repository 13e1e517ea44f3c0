"""M2, semi-supervised (Kingma et al. 2014, arXiv:1406.5298)."""

from vaejax import presets
from vaejax.configuration import base, finish, words

TINY = presets.TINY | {'data.labels': 20, 'data.labelled_batch': 8}


def get_config(arg=''):
  asked = words(arg, dataset='digits')
  config = base('m2', {'lr': 1e-3, 'classification': 10.0})
  config.objective = {}
  config.model = dict(presets.AUTOENCODER)
  presets.suit(config, asked.dataset)
  config.data.update({'labels': 100, 'labelled_batch': 25})
  config.model.latents = 5
  config.batch_size = 50
  config.steps = 1500 if asked.dataset == 'digits' else 6000
  config.schedule.lr = 'cosine'
  config.eval.every = config.checkpoint.every = 1500  # a test is dear, it decodes every class
  return finish(config, asked, TINY)
