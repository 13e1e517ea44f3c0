"""UNIT (Liu et al. 2017, arXiv:1703.00848): translation between two domains without pairs.

  python launch.py train --config=configs/unit.py --workdir=runs/unit
  python launch.py train --config=configs/unit.py:emoji --workdir=runs/ue --data_dir=DIR
  python launch.py train --config=configs/unit.py:mnist,source=to:slanted --workdir=runs/us
  python launch.py translate --workdir=runs/ue --where=skin_tone=0
  python launch.py translate --workdir=runs/ue --reverse

Two VAEs share their latents, the last layers of their encoders and the first of their decoders. A
translation is what the decoder of the other domain makes of the latents; it has to pass for a
picture of that domain with a critic of patches, and to lead back to where it came from.

The domains are the images and their `data.source`: the two designers of emoji, plain digits and
those in a style (to:inverted, to:slanted, ...), or grey and colour. Training sees no pair:
with data.paired=False the sources of the training split belong to other images. Test rows are
pairs, with which translations are scored.

Unlike the paper, both domains begin with the same weights, so a translation begins as a copy.

Google's emoji as Twitter's at 32 px (seed 0, 2026-11-28; 179 test rows without skin tone, LPIPS at
64 px), against copying the input: PSNR 13.25 dB (+0.63 ± 0.07), LPIPS with AlexNet .272 (+.031 ±
.003) and with VGG16 .511 (+.105 ± .004), right emoji first 59 % (-7 ± 3). A probe
takes 76 % ± 3 for Twitter's, 17 % of copies and 87 % of the true ones. So its pictures pass for the
other designer's more often, and are nearer in pixels, but have more grain than the input.

Words after the colon: a dataset (digits, mnist, emoji, cifar10, ... any TFDS name, or a folder with
two folders, with source=domain:A>B), a loss (minimax, non_saturating, least_squares, hinge,
wasserstein; default hinge), smoke, key=value.
"""

from vaejax.config import presets
from vaejax.config.base import base, player
from vaejax.config.words import choose_one, finish, parse_words
from vaejax.objectives.adversarial import LOSSES

MODEL = {
  'patch': 4,  # side of the squares of pixels that are one position of the latents
  'width': 64,  # features at each position
  'latents': 32,  # at each position
  'blocks': 1,  # residual blocks of each encoder and decoder and of both shared nets
  'kernel': 3,
  'activation': 'relu',
  'norm': 'none',
  'dtype': 'float32',
  'likelihood': 'laplace',
  'scale': 0.1,
  'floor': 0.1,
}
CRITIC = {
  'net': 'conv',
  'widths': (),
  'channels': (32, 64, 128),
  'kernel': 4,
  'activation': 'leaky_relu',
  'norm': 'spectral',
}
WEIGHTS = {'beta': 0.01, 'cycle': 1.0, 'adversarial': 1000.0, 'penalty': 0.0}
DRAWING = {'model.patch': 2, 'model.critic.channels': (32, 64)}
TINY = {'model.width': 16, 'model.latents': 4, 'model.critic.channels': (8, 8)}


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=LOSSES)
  config = base('unit', {'lr': 1e-3, 'lr_critic': 3e-3} | WEIGHTS)
  presets.set_dataset(config, words.dataset)
  config.model = MODEL
  config.model.critic = presets.TRUNK | CRITIC
  loss = choose_one(words.options, LOSSES, 'hinge')
  config.objective = {'name': loss, 'penalty': 'none', 'turns': 1}
  config.optimizer.update({'b1': 0.5, 'b2': 0.999, 'ema': 0.998})
  config.optimizer.critic, config.optimizer.autoencoder = player(), player()
  config.data.paired = False
  config.data.source = 'to:inverted'
  config.schedule.lr = config.schedule.lr_critic = 'cosine'
  config.batch_size = 16
  config.steps = 2000
  if presets.is_drawing(words.dataset):
    config.update_from_flattened_dict(DRAWING)
  elif words.dataset == 'emoji':
    config.data.update({'source': 'domain:google>twitter', 'size': 32})
    config.data.augment.flip = True
  else:
    config.data.source = 'grey'
  return finish(config, words, TINY)
