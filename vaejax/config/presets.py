"""Fields that configs share: of nets, of datasets, and of training against a critic."""

from typing import Any

from ml_collections import ConfigDict

from vaejax.data import sets
from vaejax.data.paths import is_path

# The fields of a net, see vaejax/nets.
TRUNK = {
  'net': 'mlp',  # mlp, conv, resnet
  'widths': (500,),  # dense layers: all of an mlp, the inner ones of other nets
  'channels': (32, 64),  # of the layers of conv and resnet
  'strides': (),  # of these layers, (): 2 for each
  'kernel': 3,
  'blocks': 1,  # of a resnet, at each resolution
  'activation': 'relu',
  'norm': 'none',
  'dtype': 'float32',
  'initial': 'lecun',  # initial kernels of dense layers: lecun or glorot
}

# The fields of `model` for every method with an encoder and a decoder.
AUTOENCODER = TRUNK | {
  'latents': 20,
  'likelihood': 'logistic',  # see nets.heads
  'scale': 1.0,  # standard deviation of a `gaussian`; initial value of a learned scalar one
  'floor': 0.01,  # smallest standard deviation, if it is learned
  'bias': 'zero',  # initial bias of the last layer: zero, or data, the logits of the data's means
}

# The fields of `model` for a VAE, whose prior can be chosen.
VAE = AUTOENCODER | {
  'prior': 'standard',  # see nets/priors
  'components': 500,  # of a mixture; pseudo-inputs of a vampprior
}

TINY = {'model.widths': (32,), 'model.channels': (8, 8), 'model.latents': 4}

# For colour photographs, and for datasets whose file has no SUITS.
PHOTOGRAPHS = {
  'model.net': 'resnet',
  'model.channels': (64, 128, 128),
  'model.widths': (),
  'model.norm': 'group',
  'model.latents': 128,
}


# For the user's own files. On two CPU cores these nets are 14 times as fast as those of PHOTOGRAPHS
# for 64x64 pictures in batches of 64.
OWN_FILES = PHOTOGRAPHS | {
  'model.net': 'conv',
  'model.channels': (32, 64, 128, 256),
  'model.kernel': 4,
  'model.latents': 64,
  'batch_size': 64,
  'eval.every': 500,
}


def dataset_fields(dataset: str) -> dict[str, Any]:
  """Returns {dotted field: value} that a dataset's file recommends, {} if it has no file."""
  return getattr(sets.find(dataset), 'SUITS', {})


def is_drawing(dataset: str) -> bool:
  """Whether a dataset has drawings, and not colour photographs."""
  return getattr(sets.find(dataset), 'DRAWN', False)


def set_dataset(config: ConfigDict, dataset: str) -> None:
  """Sets the dataset and its size and channels, but no nets."""
  config.data.name = dataset
  fields = ('data.size', 'data.channels')
  config.update_from_flattened_dict(
    {k: v for k, v in dataset_fields(dataset).items() if k in fields}
  )


def autoencoder_defaults(config: ConfigDict, dataset: str) -> None:
  """Sets the dataset, and the nets and likelihood of an autoencoder for it."""
  config.data.name = dataset
  other = OWN_FILES if is_path(dataset) else PHOTOGRAPHS
  config.update_from_flattened_dict(dataset_fields(dataset) or other)


def autoencoder_steps(dataset: str) -> int:
  """Returns the number of steps of a VAE for photographs, or for the user's own files."""
  return 5000 if is_path(dataset) and not dataset_fields(dataset) else 20_000


def add_lpips(config: ConfigDict, weight: float = 100.0) -> None:
  """Adds LPIPS with AlexNet to the objective, with a weight in nats (see methods/lpips.py)."""
  config.hyper.lpips, config.schedule.lpips = weight, 'constant'
  config.objective.lpips = 'alex'


def gan_defaults(config: ConfigDict, dataset: str, loss: str) -> None:
  """Sets dataset, nets, rates and steps for `model` trained against `model.critic`.

  `loss` is one of objectives.adversarial; hinge comes with spectral norm, wasserstein with a
  gradient penalty and 5 turns of the critic.
  """
  set_dataset(config, dataset)
  config.batch_size = 64
  config.model.update({'norm': 'batch', 'widths': (256, 256)})
  config.model.critic = TRUNK | {'activation': 'leaky_relu', 'widths': (256, 256)}
  config.steps = 10_000
  if dataset_fields(dataset).get('model.net') != 'mlp':
    small = is_drawing(dataset)
    net = {'net': 'conv', 'channels': (32, 64) if small else (64, 128, 256), 'kernel': 4}
    net |= {'widths': ()}
    config.model.update(net)
    config.model.critic.update(net)
    config.steps = 5000 if small else 100_000
    rate = 5e-4 if small else 2e-4
    config.hyper.update({'lr': rate, 'lr_critic': rate})
  config.objective = {'name': loss, 'penalty': 'none', 'turns': 1}
  config.optimizer.update({'b1': 0.5, 'b2': 0.999, 'ema': 0.999})
  if loss == 'hinge':
    config.model.critic.norm = 'spectral'
  if loss == 'wasserstein':
    config.objective.update({'penalty': 'gradient', 'turns': 5})
    config.optimizer.update({'b1': 0.0, 'b2': 0.9})


# The fields of `model` for a prediction from a source, see nets/predictor.py.
PREDICTOR = {
  'latents': 16,
  'prior': 'learned',  # p(z|source): learned, or standard
  'likelihood': 'laplace',
  'scale': 0.1,
  'floor': 0.005,
  'width': 64,  # features at the first level, twice as many at each further one
  'levels': 2,  # how often the resolution is halved
  'blocks': 2,  # at each level
  'stem': 2,  # side of the squares of pixels that are one position of the first level
  'activation': 'silu',
  'mirror': False,  # whether the net also sees the source from right to left
  'dtype': 'float32',
}
TINY_PREDICTOR = {
  'model.latents': 4,
  'model.width': 16,
  'model.levels': 1,
  'model.blocks': 1,
  'model.encoder.channels': (8, 8),
}


def predictor(config: ConfigDict, words: Any, source: str, size: int = 0) -> None:
  """Sets the data, the nets and the training of a prediction of images from a source.

  Args:
    words: those after the config's colon, see words.parse_words. With the option 'adversarial' a
      critic of patches is trained too, with 'lpips' LPIPS is minimised too.
    source: what the images are predicted from, see data/device/degrade.py.
    size: side in pixels of data without a size of its own.
  """
  set_dataset(config, words.dataset)
  small = is_drawing(words.dataset)
  config.data.source = source
  config.data.size = config.data.size or (0 if small else size)
  config.data.augment.flip = not small
  trunk = TRUNK | {'net': 'conv', 'channels': (32, 64, 64), 'kernel': 4, 'widths': ()}
  config.model = PREDICTOR | {'encoder': trunk, 'levels': 1 if small else 2}
  # The part of a batch whose latents are from the prior, see methods/paired.py.
  config.objective = {'share': 0.5}
  if 'lpips' in words.options:
    add_lpips(config, 4e4)
    config.objective.lpips_size = 64  # as translations are scored
  if 'adversarial' in words.options:
    config.hyper.update({'lr_critic': 5e-4, 'adversarial': 30.0})
    config.schedule.update({'lr_critic': 'constant', 'adversarial': 'constant'})
    config.objective.critic = 'hinge'
    config.model.critic = trunk | {'activation': 'leaky_relu', 'norm': 'spectral'}
  config.schedule.lr = 'cosine'
  config.optimizer.ema = 0.99
  config.batch_size = 32
  config.steps = 2000
