"""VAE-GAN (Larsen et al. 2016, arXiv:1512.09300): a critic's features compare the reconstructions.

  python launch.py train --config=configs/vaegan.py --workdir=runs/vaegan
  python launch.py train --config=configs/vaegan.py:mnist --workdir=runs/vg --data_dir=DIR
  python launch.py evaluate --workdir=runs/vg --evals=elbo,image,fidelity,frechet,judge

Values and costs are in configs/README.md.

The critic sees each image, its reconstruction and a sample, as in the paper (algorithm 1). Three
other choices differ from it: the loss is hinge with spectral norm rather than non_saturating with
batch norm, the features are the critic's last ones rather than those of its third convolution, and
the optimizer is Adam rather than RMSprop at 3e-4. The word `paper` sets the paper's three choices.
In a critic with fewer than three convolutions, the features are those of the last one.

Words after the colon: a dataset (digits, mnist, ... any TFDS name), a loss (minimax,
non_saturating, least_squares, hinge, wasserstein; default hinge), paper, smoke, key=value. hinge
comes with spectral norm, wasserstein with a gradient penalty and 5 turns of the critic.
"""

from vaejax.config import presets
from vaejax.config.base import base, player
from vaejax.config.words import choose_one, finish, parse_words
from vaejax.objectives.adversarial import LOSSES

TINY = presets.TINY | {'model.critic.widths': (32,), 'model.critic.channels': (8, 8)}


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=(*LOSSES, 'paper'))
  paper = 'paper' in words.options
  weights = {'beta': 1.0, 'features': 1.0, 'pixels': 0.0, 'adversarial': 2.5, 'penalty': 10.0}
  config = base('vaegan', {'lr': 5e-4, 'lr_critic': 5e-4} | weights)
  config.model = presets.VAE | {'likelihood': 'bernoulli', 'latents': 32}
  loss = choose_one(words.options, LOSSES, 'non_saturating' if paper else 'hinge')
  presets.gan_defaults(config, words.dataset, loss)
  config.model.critic.layer = 0  # the convolution that gives the features; 0: before the logit
  if words.dataset == 'digits':
    config.hyper.features = 100.0  # those of its narrow critic are small: with 1 the KL wins
  if not presets.is_drawing(words.dataset):
    config.model.latents = 128
  if paper:
    set_paper(config)
  config.optimizer.critic, config.optimizer.autoencoder = player(), player()
  return finish(config, words, TINY)


def set_paper(config):
  """Sets the paper's critic and optimizer."""
  critic = config.model.critic
  critic.layer = min(3, len(critic.channels)) if critic.net == 'conv' else 0
  critic.norm = 'batch' if config.objective.penalty == 'none' else 'none'
  config.optimizer.update({'name': 'rmsprop', 'b1': None, 'b2': None})
  config.hyper.update({'lr': 3e-4, 'lr_critic': 3e-4})
