"""What suits a dataset: its binarisation, its net and its likelihood, as fields of a config."""

import re

from ml_collections import ConfigDict

from vaejax.configuration import one

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
  'prior': 'standard',  # see nets/priors
  'components': 500,  # of a mixture, and pseudo-inputs of a vampprior
}

TINY = {'model.widths': (32,), 'model.channels': (8, 8), 'model.latents': 4}

BINARY = {'data.binarise': 'dynamic', 'model.likelihood': 'bernoulli'}

# The fields of the `model` of style transfer, see nets.style.
SIGHT = {name: TRUNK[name] for name in ('kernel', 'norm', 'dtype')} | {
  'channels': (24, 48),
  'strides': (),
  'widths': (128,),
  'activation': 'leaky_relu',
}
TRANSFER = SIGHT | {
  'latents': 24,  # of contents
  'spatial': False,  # whether contents have places
  'tones': 0,  # knots of curves that z_s decides and of histograms that it is read from, 0: none
  'invariant': True,  # whether tint, contrast and sign are no contents
  'likelihood': 'gaussian',
  'scale': 0.2,
  'floor': 0.01,
}
# Of the terms of its loss, see methods/style.py.
TRANSFER_WEIGHTS = {
  'beta_content': 1.0,
  'beta_style': 1.0,
  'style': 20.0,
  'code': 5.0,
  'content': 1.0,
  'transfer': 1.0,
}
PHOTOGRAPHS = {
  'model.channels': (32, 32),
  'model.strides': (2, 1),
  'model.latents': 12,
  'model.spatial': True,
  'model.invariant': False,
  'model.tones': 49,
  'model.likelihood': 'laplace',  # its best guess of what may be either step of a stair is a step
  'model.scale': 0.05,
  'model.style.channels': (32, 64),
  'model.style.latents': 16,
  'hyper.beta_content': 0.3,
  'hyper.style': 200.0,
  'steps': 1500,
}

PRESETS = {
  'digits': {'model.widths': (256,)},
  'mnist': BINARY,
  'fashion_mnist': BINARY,
  'kmnist': BINARY,
  'binarized_mnist': BINARY | {'data.binarise': 'threshold'},  # one fixed draw, see data.tfds
  'omniglot': BINARY | {'data.size': 28, 'data.channels': 1},
  'shapes': {
    'data.binarise': 'threshold',
    'model.likelihood': 'bernoulli',
    'model.net': 'conv',
    'model.channels': (32, 32, 64, 64),
    'model.kernel': 4,
    'model.widths': (256,),
    'model.latents': 10,
  },
}

COLOUR = {
  'model.net': 'resnet',
  'model.channels': (64, 128, 128),
  'model.widths': (),
  'model.norm': 'group',
  'model.latents': 128,
}


def suit(config: ConfigDict, dataset: str) -> None:
  """Sets the dataset and what suits it; one that is not listed is taken for colour photographs."""
  config.data.name = dataset
  config.update_from_flattened_dict(PRESETS.get(title(dataset), COLOUR))


def compete(config: ConfigDict, dataset: str, flags: tuple[str, ...]) -> None:
  """Sets the dataset, nets and length that suit a game of `model` against `model.critic`, and the
  loss that the flags name with the critic's norm, penalty and turns that it comes with: hinge and
  spectral norm, wasserstein and a gradient penalty. Raises UserError for two losses."""
  from vaejax.objectives.adversarial import LOSSES  # imports JAX, which most configs need not

  loss = one(flags, LOSSES, 'non_saturating')
  config.data.name = dataset
  config.batch_size = 64
  config.model.update({'norm': 'batch', 'widths': (256, 256)})
  config.model.critic = TRUNK | {'activation': 'leaky_relu', 'widths': (256, 256)}
  config.steps = 10_000
  if dataset != 'digits':
    grey = title(dataset) in PRESETS
    net = {
      'net': 'conv',
      'channels': (32, 64) if grey else (64, 128, 256),
      'kernel': 4,
      'widths': (),
    }
    config.model.update(net)
    config.model.critic.update(net)
    config.steps = 5000 if grey else 100_000
    rate = 5e-4 if grey else 2e-4
    config.hyper.update({'lr': rate, 'lr_critic': rate})
  config.objective = {'name': loss, 'penalty': 'none', 'turns': 1}
  config.optimizer.update({'b1': 0.5, 'b2': 0.999, 'ema': 0.999})
  if loss == 'hinge':
    config.model.critic.norm = 'spectral'
  if loss == 'wasserstein':
    config.objective.update({'penalty': 'gradient', 'turns': 5})
    config.optimizer.update({'b1': 0.0, 'b2': 0.9})


TINY_TRANSFER = {'model.channels': (8, 8), 'model.widths': (16,), 'model.latents': 4}
TINY_TRANSFER |= {f'model.style.{name[6:]}': value for name, value in TINY_TRANSFER.items()}


def transfer(config: ConfigDict, dataset: str) -> None:
  """Sets a dataset in styles, and the nets, weights and length of methods/style.py that suit it."""
  config.data.update({'name': dataset, 'styles': styles(dataset), 'pairs': True})
  config.model = TRANSFER
  config.model.style = SIGHT | {'latents': 8}
  if config.data.styles == 'photographs':
    config.update_from_flattened_dict(PHOTOGRAPHS)


def styles(dataset: str) -> str:
  """The kind of styles, see data.styles, that suits a dataset."""
  return 'digits' if title(dataset) in PRESETS else 'photographs'


def title(dataset: str) -> str:
  """What a dataset is called, however it was named: 'mnist' of mnist:3.0.1 or /x/mnist/3.0.1."""
  path = dataset.startswith(('/', '.', '~'))
  parts = [part for part in re.split('[:/]', dataset) if not re.fullmatch(r'[\d.*~]*', part)]
  return (parts[-1] if path else parts[0]) if parts else dataset
