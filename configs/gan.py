"""GAN (Goodfellow et al. 2014, arXiv:1406.2661), with later losses and penalties.

  python launch.py train --config=configs/gan.py --workdir=runs/gan
  python launch.py train --config=configs/gan.py:mnist,hinge --workdir=runs/g --data_dir=DIR
  python launch.py train --config=configs/gan.py:stacked_mnist,hinge --workdir=runs/s --data_dir=DIR
  python launch.py evaluate --workdir=runs/s --evals=modes

Values and costs are in configs/README.md. stacked_mnist is sized for a GPU. On a ring and a grid of
Gaussians, hinge and wasserstein reach every mode (tests/methods/test_gan.py).

Words after the colon: a dataset (digits, mnist, ... any TFDS name; stacked_NAME: three of its
images as channels), a loss (minimax, non_saturating, least_squares, hinge, wasserstein),
conditional, smoke, key=value. hinge comes with spectral norm, wasserstein with a gradient penalty
and 5 turns of the critic.
"""

from vaejax.config import presets
from vaejax.config.base import base, player
from vaejax.config.words import choose_one, finish, parse_words
from vaejax.objectives.adversarial import LOSSES

TINY = presets.TINY | {'model.critic.widths': (32,), 'model.critic.channels': (8, 8)}


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=(*LOSSES, 'conditional'))
  config = base('gan', {'lr': 2e-4, 'lr_critic': 2e-4, 'penalty': 10.0})
  config.model = {**presets.TRUNK, 'latents': 64, 'conditional': 'conditional' in words.options}
  presets.gan_defaults(config, words.dataset, choose_one(words.options, LOSSES, 'non_saturating'))
  # Images that the critic is given at once (PacGAN), and updates of the generator in a step.
  config.objective.update({'packing': 1, 'generator_turns': 1})
  config.optimizer.critic, config.optimizer.generator = player(), player()
  return finish(config, words, TINY)
