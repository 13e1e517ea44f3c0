"""Fields that configs share: those of nets, what suits a data set, and what suits a game against a
critic."""

from typing import Any

from ml_collections import ConfigDict

from vaejax.data import sets

# The fields of a net of any kind, see nets.
TRUNK = {
  'net': 'mlp',  # mlp, conv, resnet
  'widths': (500,),  # dense layers, all of an mlp and the inner ones of the others
  'channels': (32, 64),  # of conv and resnet: one layer each
  'strides': (),  # of those layers, () for 2 each
  'kernel': 3,
  'blocks': 1,  # of a resnet, at every resolution
  'activation': 'relu',
  'norm': 'none',
  'dtype': 'float32',
}

# The fields of an autoencoder's `model`, which every method with an encoder and a decoder has.
AUTOENCODER = TRUNK | {
  'latents': 20,
  'likelihood': 'logistic',  # see nets.heads
  'scale': 1.0,  # standard deviation of a `gaussian`; where one that is learned alone begins
  'floor': 0.01,  # least standard deviation of those that learn it
}

# The same, of a VAE whose prior can be chosen.
VAE = AUTOENCODER | {
  'prior': 'standard',  # see nets/priors
  'components': 500,  # of a mixture, and pseudo-inputs of a vampprior
}

TINY = {'model.widths': (32,), 'model.channels': (8, 8), 'model.latents': 4}

# What suits photographs in colour, as which a set is taken whose file does not say what suits it.
PHOTOGRAPHS = {
  'model.net': 'resnet',
  'model.channels': (64, 128, 128),
  'model.widths': (),
  'model.norm': 'group',
  'model.latents': 128,
}


def suited(dataset: str) -> dict[str, Any]:
  """{dotted field: value} that suit a set as its file says, see data.sets; {} without a file."""
  return getattr(sets.find(dataset), 'SUITS', {})


def drawn(dataset: str) -> bool:
  """Whether a set is of drawings, and not of photographs in colour."""
  return getattr(sets.find(dataset), 'DRAWN', False)


def set_dataset(config: ConfigDict, dataset: str) -> None:
  """Sets the dataset, of the size and channels that suit it; its nets are left as they are."""
  config.data.name = dataset
  fields = ('data.size', 'data.channels')
  config.update_from_flattened_dict({k: v for k, v in suited(dataset).items() if k in fields})


def autoencoder_defaults(config: ConfigDict, dataset: str) -> None:
  """Sets the dataset and all that suits it, for a config of an autoencoder."""
  config.data.name = dataset
  config.update_from_flattened_dict(suited(dataset) or PHOTOGRAPHS)


def gan_defaults(config: ConfigDict, dataset: str, loss: str) -> None:
  """Sets the dataset, nets and length that suit a game of `model` against `model.critic`, and the
  loss of objectives.adversarial with the critic's norm, penalty and turns that it comes with: hinge
  and spectral norm, wasserstein and a gradient penalty."""
  set_dataset(config, dataset)
  config.batch_size = 64
  config.model.update({'norm': 'batch', 'widths': (256, 256)})
  config.model.critic = TRUNK | {'activation': 'leaky_relu', 'widths': (256, 256)}
  config.steps = 10_000
  if suited(dataset).get('model.net') != 'mlp':
    small = drawn(dataset)
    net = {
      'net': 'conv',
      'channels': (32, 64) if small else (64, 128, 256),
      'kernel': 4,
      'widths': (),
    }
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
