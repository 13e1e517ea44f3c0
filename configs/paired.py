"""Conditional VAE of an image given another one, its source (Sohn et al. 2015): completion,
super-resolution, translation between two designers, colours for grey, noise removed.

  python launch.py train --config=configs/paired.py:mnist --workdir=runs/i --data_dir=DIR
  python launch.py inpaint --workdir=runs/i
  python launch.py train --config=configs/paired.py:emoji,superres --workdir=runs/s --data_dir=DIR
  python launch.py superres --workdir=runs/s
  python launch.py train --config=configs/paired.py:emoji,translate --workdir=runs/t --data_dir=DIR
  python launch.py translate --workdir=runs/t

Values and costs are in configs/README.md. vaejax/methods/paired.py has the objective.

Words after the colon: a dataset (digits, mnist, emoji, ... any TFDS name), smoke, key=value, one
of these uses. lpips adds LPIPS, weighted by hyper.lpips in nats (pip install -e
'.[perceptual]'); patches adds a critic of patches, weighted by hyper.adversarial.

  inpaint     data.source=mask:half; mask:centre, stripes, random or any for other parts
  superres    data.source=small:4, or small:2
  translate   data.source=domain:google>twitter; for your own two folders domain:A>B
  colourise   data.source=grey
  denoise     data.source=noise:0.2
"""

from vaejax.config import presets
from vaejax.config.base import base, player
from vaejax.config.words import choose_one, finish, parse_words

USES = {
  'inpaint': {'data.source': 'mask:half', 'model.mirror': True},
  # The net works at the size of the small picture.
  'superres': {
    'data.source': 'small:4',
    'model.width': 64,
    'model.levels': 0,
    'model.blocks': 5,
    'model.stem': 1,
  },
  'translate': {'data.source': 'domain:google>twitter'},
  'colourise': {'data.source': 'grey'},
  'denoise': {'data.source': 'noise:0.2'},
}
MODEL = {
  'width': 32,  # features of a position at the first level
  'levels': 2,  # times that the resolution is halved
  'blocks': 2,  # at each level, down and up
  'stem': 2,  # side of the squares of pixels that are one position
  'mirror': False,  # whether the net also sees the source from right to left
  'activation': 'silu',
  'dtype': 'float32',
  'latents': 16,
  'prior': 'learned',  # p(z|source): learned or standard
  'likelihood': 'laplace',
  'scale': 0.1,
  'floor': 0.01,
  'bias': 'zero',
}
ENCODER = {'net': 'conv', 'channels': (16, 32, 64), 'widths': (), 'kernel': 4}
CRITIC = {'net': 'conv', 'channels': (32, 64), 'widths': (), 'kernel': 4, 'norm': 'spectral'}
LEAKY = {'activation': 'leaky_relu'}
EMOJI = {'data.size': 32, 'data.augment.flip': True, 'data.augment.shift': 2}
TINY = {
  'model.width': 8,
  'model.blocks': 1,
  'model.latents': 4,
  'model.encoder.channels': (8, 8),
  'model.critic.channels': (8, 8),
}


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=(*USES, 'lpips', 'patches'))
  use = choose_one(words.options, USES, 'inpaint')
  hyper = {'lr': 1e-3, 'beta': 1.0}
  if 'patches' in words.options:
    hyper |= {'lr_critic': 1e-3, 'adversarial': 1000.0}
  config = base('paired', hyper)
  presets.set_dataset(config, words.dataset)
  config.objective = {'share': 0.5, 'critic': 'hinge'}
  config.model = MODEL
  config.model.encoder = presets.TRUNK | ENCODER | LEAKY
  config.model.critic = presets.TRUNK | CRITIC | LEAKY
  if 'patches' in words.options:
    config.optimizer.critic, config.optimizer.vae = player(), player()
  if 'lpips' in words.options:
    presets.add_lpips(config, 20_000.0)
  config.optimizer.update({'name': 'adamw', 'weight_decay': 1e-4, 'clip': 100.0, 'ema': 0.998})
  config.schedule.lr = 'cosine'
  config.batch_size = 32
  config.steps = 3000
  config.update_from_flattened_dict(USES[use])
  if words.dataset == 'emoji':
    config.update_from_flattened_dict(EMOJI)
    if use == 'superres':
      config.data.update({'size': 64, 'only': 'google'})
  elif presets.is_drawing(words.dataset):
    config.model.update({'stem': 1, 'levels': min(config.model.levels, 1)})
  return finish(config, words, TINY)
