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

STYLE-COST

Words after the colon: a dataset with classes (digits, mnist, cifar10_jpeg, ... any TFDS name),
smoke, key=value.
"""

from vaejax import presets
from vaejax.configuration import base, finish, words


def get_config(arg=''):
  asked = words(arg, dataset='digits')
  config = base('style', {'lr': 2e-3, **presets.TRANSFER_WEIGHTS})
  presets.transfer(config, asked.dataset)
  config.schedule.lr = 'cosine'
  config.batch_size = 32
  config.steps = 4000
  config.eval.size = 2000
  return finish(config, asked, presets.TINY_TRANSFER)
