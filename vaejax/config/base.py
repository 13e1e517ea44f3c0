"""The fields that every config has, with their defaults."""

from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def base(method: str, hyper: dict[str, float]) -> ConfigDict:
  """The fields of every config with their defaults; a config file sets what is its own."""
  config = ConfigDict()
  config.method = method
  config.seed = 0
  config.steps = 1000
  config.batch_size = 128
  config.evals = ('elbo',)  # what is computed at every test, see vaejax/evals
  config.init_from = ''  # the workdir of another run, whose nets this one begins from
  config.init_checkpoint = 'latest'  # of that run: latest, best or a step
  config.init_nets = ()  # which nets are taken from it, (): all that fit
  config.train = ()  # the nets that move, (): all
  config.keep_as_judge = False  # whether a finished run is kept as the judge of its dataset
  config.hyper = ConfigDict(hyper)
  # What multiplies each entry of hyper over the run, see core.optim.schedule.
  config.schedule = ConfigDict(dict.fromkeys(hyper, 'constant'))
  config.optimizer = ConfigDict(
    {
      'name': 'adam',
      'clip': 0.0,  # largest global norm of a gradient, 0: off
      'accumulate': 1,  # microbatches in one update
      'ema': 0.0,  # decay of the average that is evaluated and sampled from, 0: off
      'b1': placeholder(float),  # None leaves optax's own default
      'b2': placeholder(float),
      'eps': placeholder(float),
      'momentum': placeholder(float),
      'decay': placeholder(float),
      'weight_decay': placeholder(float),
    }
  )
  config.data = ConfigDict(
    {
      'name': '',  # a data set, see vaejax/data/sets, or any of TFDS, or its directory
      'size': 0,  # side in pixels, 0: as it comes
      'channels': 0,  # 1 or 3, 0: as it comes
      'fit': 'resize',  # or pad
      'binarise': 'none',
      'scale': 'unit',
      'flip': False,
      'validation': 0.0,  # rows of train held out, a count or a share; 0: the set's own, if any
      'mode': 'auto',  # resident, stream, or what fits the budget
      'budget_mb': 4096,
      'seed': placeholder(int),  # of the data order and noise, None: the run's
    }
  )
  config.model = ConfigDict()
  config.eval = ConfigDict(
    {
      'every': 1000,  # steps, 0: only at the end
      'batch_size': 200,
      'size': 10_000,  # test images while training, 0: all
      'images': 64,
      'log_every': 100,
    }
  )
  config.checkpoint = ConfigDict(
    {
      'every': 1000,
      'keep': 2,
      'best': '',  # a test metric, '-' before it where smaller is better; '': none is kept
    }
  )
  return config


def player(**fields: Any) -> ConfigDict:
  """A player's own section of `optimizer`: what it does not set is as for all players."""
  kinds = dict.fromkeys(('clip', 'b1', 'b2', 'eps', 'momentum', 'decay', 'weight_decay'), float)
  config = ConfigDict({name: placeholder(kind) for name, kind in {'name': str, **kinds}.items()})
  config.update(fields)
  return config
