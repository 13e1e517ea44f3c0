"""Style transfer: content and style have latents, encoders and KL weights of their own
(hyper.beta_content, hyper.beta_style), the decoder takes the style by AdaIN (Huang & Belongie
2017), and losses on feature statistics tie z_s to it; see methods/style.py.

  python launch.py train --config=configs/style.py:mnist --workdir=runs/style --data_dir=DIR
  python launch.py sample --workdir=runs/style
  python launch.py train --config=configs/judge.py:mnist,content --workdir=runs/jc --data_dir=DIR
  python launch.py train --config=configs/judge.py:mnist,style --workdir=runs/js --data_dir=DIR
  python launch.py evaluate --workdir=runs/style --evals=style

Every test also writes images/transfers_STEP.png: in the first row an image in each style, in the
first column contents, and where they meet the content in that style. Digits are thick, thin,
slanted, inverted or coloured; photographs, as any other set is taken to be, in one tone, of high
contrast, blurred or posterised (see data/styles.py). No labels are used in training. By
default each row comes with the transfer that is wanted of it (data.pairs), which only procedural
styles can give; data.pairs=False learns from images that have nothing to do with each other.

Measured on two CPU cores (AMD EPYC), seed 0, on 10,000 test images. mnist, 3 min 34 s of processor
time: the content judge (97.9 % on test images) reads 95.0 % of transfers right (of reconstructions
95.1 %), and the style judge (99.2 %) 98.3 %: thin 95 %, slanted 98 %, thick 99 %, inverted and
coloured 100 %. cifar10_jpeg, 8 min 8 s (4 min 32 s on the clock): the content judge (62.3 %) reads
57.4 % of transfers and 60.6 % of reconstructions, a ratio of 95 %; the style judge (99.1 %) 94.0 %:
contrast 88 %, tone 94 %, posterised 96 %, blurred 98 %. With steps=3500, 19 min 4 s on a busy
machine: 58.3 % of 60.9 %, and 95.7 %, contrast 92 %.

Photographs need four things for that (see nets/style.py), as trials of 600 steps with one of them
left out showed, on 2000 test images. With all, the style judge read 87 %, posterised 95 %; without
curves of tones 57 %, 0 %; without histograms 61 %, 1 %; with a Gaussian likelihood, whose best
guess is a mean of steps and so none, 59 %, 0 %; and where the content encoder knew not the whole
image, and so not what style to take off, 79 %, high contrast 34 % for 64 %.

Words after the colon: a dataset with classes (digits, mnist, cifar10_jpeg, ... any TFDS name),
smoke, key=value.
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import finish, parse_words

# The fields of the nets, see nets.style: those of the style encoder, then those of all.
STYLE = {name: presets.TRUNK[name] for name in ('kernel', 'norm', 'dtype')} | {
  'channels': (24, 48),
  'strides': (),
  'widths': (128,),
  'activation': 'leaky_relu',
}
MODEL = STYLE | {
  'latents': 24,  # of contents
  'spatial': False,  # whether contents have places
  'tones': 0,  # knots of curves that z_s decides and of histograms that it is read from, 0: none
  'invariant': True,  # whether tint, contrast and sign are no contents
  'likelihood': 'gaussian',
  'scale': 0.2,
  'floor': 0.01,
}
# Of the terms of the loss, see methods/style.py.
WEIGHTS = {
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
TINY = {'model.channels': (8, 8), 'model.widths': (16,), 'model.latents': 4}
TINY |= {f'model.style.{name[6:]}': value for name, value in TINY.items()}


def get_config(arg=''):
  words = parse_words(arg, dataset='digits')
  config = base('style', {'lr': 2e-3, **WEIGHTS})
  presets.set_dataset(config, words.dataset)
  config.data.update({'styles': 'digits', 'pairs': True})
  config.model = MODEL
  config.model.style = STYLE | {'latents': 8}
  config.schedule.lr = 'cosine'
  config.batch_size = 32
  config.steps = 4000
  config.eval.size = 2000
  if not presets.is_drawing(words.dataset):
    config.data.styles = 'photographs'
    config.update_from_flattened_dict(PHOTOGRAPHS)
  return finish(config, words, TINY)
