"""The source systems, layer for layer, with their optimizers, batch sizes and lengths, corrected.

  python launch.py train --config=configs/source.py:conv28 --workdir=runs/conv28 --data_dir=DIR
  python launch.py train --config=configs/source.py:gan,epochs=20 --workdir=runs/gan --data_dir=DIR

Values and costs are in configs/README.md.

conv28: MNIST; conv 32, conv 64, latents 32, three transposed convolutions; RMSprop, batch 256, 100
  epochs. Corrected: the decoder starts from 7x7x64, since 8x8 ends at 32x32; the cross-entropy is
  of logits and summed over pixels, because a mean makes beta 784 times as strong; z is sampled.
conv32: CIFAR-10 (`cifar10`, or another dataset of 32x32x3); conv 16, conv 8, latents 128, two
  transposed convolutions, tanh; squared error, RMSprop, batch 64, 100 epochs. Corrected: the data
  is scaled to [-1, 1], which tanh reaches; z is sampled, and the KL is in the loss. The squared
  error is that of a Gaussian with standard deviation sqrt(1/2).
shared_mlp: MNIST; 784-256-256, latents 256, 256-256-784; a dense layer of 256 without bias that the
  encoder and the decoder share; Adam, batch 128, 100 epochs. Corrected: z is sampled; the shared
  layer is in use, between the encoder's features and z, and its transpose between z and the
  decoder; the decoder returns the mean and standard deviation of each pixel, at least
  `model.floor` (model.likelihood=gaussian_scalar: one for all pixels, gaussian: the plain squared
  error); a dense layer classifies z, with its cross-entropy weighted by hyper.classification.
mlp: MNIST; 784-512-256-(2 x 20), 256-512-784; ELBO with beta = 1, Adam, batch 128, 100 epochs.
  Corrected: logits in place of a sigmoid and its cross-entropy.
gan: MNIST; 100-128-128-1024-784 against 784-128-128-1; Adam, batch 32, 100 epochs. Corrected: the
  written losses have their signs swapped; the critic gives logits; non_saturating by default, the
  written minimax by objective.name=minimax. Added: R1 of weight 10 on the critic, which otherwise
  wins within five epochs, and all samples become one image (objective.penalty=none shows it).
rvae: moving digits, 15 frames of 32x32; 1024-512-256 for a frame, a GRU of 256, 16 latents a frame
  with a learned prior, 256-512-1024; Adam, batch 16, 2 epochs (the source names none of these).
  Corrected: z = mu + noise * sqrt(c), where the written noise * sqrt(c) has no mean.
style: style transfer, of MNIST in five styles (vaejax/data/device/styles.py); Adam, batch 32, 100
  epochs; layers are not stated, and are those of configs/style.py. Corrected: the written bound has
  two KL terms but one z; content and style have their own latents and encoders, weighted by
  hyper.beta_content and hyper.beta_style; the decoder takes the style by AdaIN, and a loss on
  feature statistics ties z_s to it.

RMSprop has Keras' epsilon, 1e-7, which optax adds inside the root as Keras does; optax's default is
1e-8.

Words after the colon: a system (default mlp), a dataset in place of its own, epochs=N, smoke,
key=value.
"""

from pathlib import Path

from ml_collections import ConfigDict

from vaejax.config import presets
from vaejax.config.base import base, player
from vaejax.config.load import load_config
from vaejax.config.words import choose_one, finish, parse_words
from vaejax.errors import UserError

SYSTEMS = ('conv28', 'shared_mlp', 'conv32', 'mlp', 'gan', 'rvae', 'style')
DATASETS = {'conv32': 'cifar10', 'rvae': 'moving'}  # the others: mnist
EPOCHS = {'rvae': 2}  # the others: 100
ROWS = {'cifar10': 50_000, 'digits': 1_500, 'moving': 100_000}
TINY = {'rvae': {'model.state': 16, 'data.frames': 6, 'data.size': 16}}


def autoencoder(hyper=(), **model) -> ConfigDict:
  plain = {'lr': 1e-3, 'beta': 1.0, 'capacity': 0.0, 'free_bits': 0.0}
  config = base('vae', plain | dict(hyper))
  config.objective = {'name': 'elbo', 'samples': 1, 'kl': 'analytic'}
  config.model = presets.VAE | model
  return config


def conv28() -> ConfigDict:
  config = autoencoder(net='conv28', widths=(), latents=32, likelihood='bernoulli')
  config.optimizer.update({'name': 'rmsprop', 'decay': 0.9, 'eps': 1e-7})
  config.batch_size = 256
  return config


def conv32() -> ConfigDict:
  model = {'net': 'conv32', 'widths': (), 'latents': 128}
  config = autoencoder(**model, likelihood='gaussian', scale=0.5**0.5)
  config.optimizer.update({'name': 'rmsprop', 'decay': 0.9, 'eps': 1e-7})
  config.data.scale = 'symmetric'
  config.batch_size = 64
  return config


def shared_mlp() -> ConfigDict:
  # The initial scale is that of a plain squared error, see conv32.
  model = {'likelihood': 'gaussian_pixel', 'floor': 0.1, 'scale': 0.5**0.5, 'shared': True}
  config = autoencoder({'classification': 100.0}, widths=(256, 256), latents=256, **model)
  config.method = 'classified'
  return config


def mlp() -> ConfigDict:
  return autoencoder(net='mlp', widths=(512, 256), latents=20, likelihood='bernoulli')


def gan() -> ConfigDict:
  config = base('gan', {'lr': 2e-4, 'lr_critic': 2e-4, 'penalty': 10.0})
  config.objective = {'name': 'non_saturating', 'penalty': 'r1', 'turns': 1}
  # Listed as in the critic; the generator has them in reverse.
  config.model = presets.TRUNK | {'widths': (1024, 128, 128), 'latents': 100, 'conditional': False}
  config.model.critic = presets.TRUNK | {'widths': (128, 128), 'activation': 'leaky_relu'}
  config.model.activation = 'leaky_relu'
  config.optimizer.b1 = 0.5
  config.optimizer.critic, config.optimizer.generator = player(), player()
  config.batch_size = 32
  return config


def rvae() -> ConfigDict:
  config = base('rvae', {'lr': 1e-3, 'beta': 1.0, 'free_bits': 0.0})
  config.objective = {'kl': 'analytic'}
  config.model = presets.AUTOENCODER | {'cell': 'gru', 'state': 256, 'widths': (512, 256)}
  config.model.update({'latents': 16, 'likelihood': 'bernoulli', 'decoder_input': 'latents'})
  config.data.update({'size': 32, 'frames': 15, 'stride': 0})
  config.eval.update({'batch_size': 50, 'size': 200, 'images': 120})
  config.batch_size = 16
  return config


def style(dataset: str, smoke: bool) -> ConfigDict:
  path = Path(__file__).with_name('style.py')
  config = load_config(f'{path}:{dataset}' + ',smoke' * smoke)
  config.schedule.lr = 'constant'
  config.eval.size = 10_000
  return config


def get_config(arg=''):
  words = parse_words(arg, dataset='', options=SYSTEMS)
  system = choose_one(words.options, SYSTEMS, 'mlp')
  default = DATASETS.get(system, 'mnist')
  default = 'digits' if words.smoke and default != 'moving' else default
  dataset = words.dataset or default
  config = style(dataset, words.smoke) if system == 'style' else globals()[system]()
  config.data.name = dataset
  if dataset == 'digits':
    config.data.size = {'conv28': 28, 'conv32': 32}.get(system, 0)
  epochs = dict(words.settings).get('epochs', str(EPOCHS.get(system, 100)))
  if not epochs.isdecimal() or not int(epochs):
    raise UserError(f'epochs={epochs} is not a whole number from 1 on')
  config.steps = int(epochs) * ROWS.get(config.data.name, 60_000) // config.batch_size
  config.eval.every = config.checkpoint.every = max(1, config.steps // 20)
  rest = tuple(setting for setting in words.settings if setting[0] != 'epochs')
  return finish(config, words._replace(settings=rest), TINY.get(system, {}))
