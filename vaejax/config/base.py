"""The fields of every config, with their defaults."""

from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder


def base(method: str, hyper: dict[str, float]) -> ConfigDict:
  """Returns a config with the default of every field; a config file then sets its own values."""
  config = ConfigDict()
  config.method = method
  config.seed = 0
  config.steps = 1000
  config.batch_size = 128
  config.evals = ('elbo',)  # computed at every test, see vaejax/evals
  config.init_from = ''  # workdir of another run whose nets this run starts from
  config.init_checkpoint = 'latest'  # which checkpoint of that run: latest, best or a step
  config.init_nets = ()  # nets to take from it, (): all that fit
  config.train = ()  # nets to train, (): all
  config.keep_as_judge = False  # makes the finished run the judge of its dataset
  config.hyper = ConfigDict(hyper)
  # A factor over time for each entry of hyper, see config/schedules.py.
  config.schedule = ConfigDict(dict.fromkeys(hyper, 'constant'))
  config.optimizer = ConfigDict(
    {
      'name': 'adam',
      'clip': 0.0,  # largest global norm of the gradient, 0: off
      'accumulate': 1,  # microbatches per update
      'ema': 0.0,  # decay of the averaged weights to evaluate and sample with, 0: off
      'b1': placeholder(float),  # None: optax's default
      'b2': placeholder(float),
      'eps': placeholder(float),
      'momentum': placeholder(float),
      'decay': placeholder(float),
      'weight_decay': placeholder(float),
      # The proportion of weights that become 0, those of the smallest magnitude, 0: off. See
      # core/prune.py.
      'prune': 0.0,
      'prune_by': 'global',  # over all layers, or the same proportion of each: layer
      'prune_start': 0.1,  # fractions of the steps between which the proportion rises
      'prune_end': 0.7,
      'prune_every': 100,  # steps after which more weights are pruned
    }
  )
  config.data = ConfigDict(
    {
      'name': '',  # a name in vaejax/data/sets or TFDS, or the path of a folder or a file
      'size': 0,  # side in pixels, 0: of the data
      'channels': 0,  # 1 (grey), 3 (RGB) or 4 (RGBA), 0: of the data
      'fit': 'resize',  # how an image gets its size: resize, pad or crop
      # Behind transparent and around padded pictures: white, black, or '30,60,90'; auto: white
      # behind and black around.
      'background': 'auto',
      'field': '',  # the field of a dataset that is the image or video, '': the only one
      'label': '',  # the field that is the label, '': the only one, or none to ignore labels
      'skip_damaged': False,  # go on without damaged files
      'binarise': 'none',
      'scale': 'unit',
      'transform': 'none',  # of real numbers inside a method: none, asinh or log
      'low': placeholder(float),  # range of real numbers in pictures, None: that of the data
      'high': placeholder(float),
      'shown': (),  # channels that pictures show, (): all, each in grey unless there are 1, 3 or 4
      # Random changes of training images, see vaejax/data/device/augment.py.
      'augment': {
        'flip': False,  # left to right
        'pad': 0,  # pixels around an image before a random crop
        'crop': 0,  # side of a random crop, of which tests take the centre
        'shift': 0,  # pixels, along both axes
        'rotate': 0.0,  # degrees, both ways
        'brightness': 0.0,
        'contrast': 0.0,
        'saturation': 0.0,
        'hue': 0.0,
        'cutout': 0,  # side of a square that is blanked
        'mutate': 0.0,  # probability that an element is replaced by a random value
        'edge': False,  # what moves in from outside repeats the edge, instead of zeros
      },
      # What each image is to be predicted from, '': nothing, see vaejax/data/device/degrade.py.
      'source': '',
      'paired': True,  # whether training rows have their own sources, or those of other rows
      'only': '',  # a folder of files to which the rows are restricted, '': all
      'validation': 0.0,  # rows of train to hold out, a count or a fraction; 0: the dataset's split
      'mode': 'auto',  # resident (on the device), stream, or auto: resident if budget_mb allows
      'budget_mb': 4096,
      'workers': 0,  # processes that decode a stream, 0: threads
      'seed': placeholder(int),  # of the data order and its noise, None: the run's seed
    }
  )
  config.model = ConfigDict()
  config.eval = ConfigDict(
    {
      'every': 1000,  # steps, 0: only after the last
      'batch_size': 200,
      'size': 10_000,  # examples of a test while training, 0: all
      'images': 64,
      'log_every': 100,
      'patience': 0,  # tests without a better checkpoint.best after which a run stops, 0: off
    }
  )
  config.checkpoint = ConfigDict(
    {
      'every': 1000,
      'keep': 2,
      'best': '',  # value to keep the best checkpoint by, -NAME if smaller is better; '': none
    }
  )
  return config


def player(**fields: Any) -> ConfigDict:
  """Returns a player's section of `optimizer`, where None is the value for all players."""
  numbers = 'clip', 'b1', 'b2', 'eps', 'momentum', 'decay', 'weight_decay', 'prune'
  kinds = dict.fromkeys(numbers, float)
  config = ConfigDict({name: placeholder(kind) for name, kind in {'name': str, **kinds}.items()})
  config.update(fields)
  return config
