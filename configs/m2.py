"""M2 (Kingma et al. 2014, arXiv:1406.5298): a classifier from few labels and all images.

  python launch.py train --config=configs/m2.py:mnist --workdir=runs/m2 --data_dir=DIR
  python launch.py train --config=configs/m2.py:mnist,labels=1000 --workdir=runs/m --data_dir=DIR
  python launch.py sample --workdir=runs/m2 --label=7

Cost on two CPU cores and expected number, seed 0: mnist 2 min 54 s of processor time (AMD EPYC,
busy), test error 10.0 % with 100 labels (the paper: 11.97 +- 1.71 %) and 4.5 % with 1000; digits
18 s, 11.4 % with 100.

The classifier is part of a generative model p(y) p(z) p(x|y, z), in which most labels are unknown.
Each step has `batch_size` images of the training split without their labels, and
`data.labelled_batch` of the `data.labels` labelled ones: the same number of every class, drawn with
`data.seed`, or else with `seed`. A step decodes every image as each of the classes, which takes
time.

The number of latents matters. On the last 10,000 training images, with 100 labels, the error after
1000 steps was 19 % with 20 latents, 13 % with 5, 18 % with 3, and 31 % for a classifier of the
labels alone: many latents can draw any image as any class.

Words after the colon: a dataset with classes (digits, mnist, ... any TFDS name), smoke, key=value.
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import finish, parse_words

TINY = presets.TINY | {'data.labels': 20, 'data.labelled_batch': 8}


def get_config(arg=''):
  words = parse_words(arg, dataset='digits')
  config = base('m2', {'lr': 1e-3, 'classification': 10.0})
  config.objective = {}
  config.model = dict(presets.AUTOENCODER)
  presets.autoencoder_defaults(config, words.dataset)
  config.data.update({'labels': 100, 'labelled_batch': 25})
  config.model.latents = 5
  config.batch_size = 50
  config.steps = 1500 if words.dataset == 'digits' else 6000
  config.schedule.lr = 'cosine'
  config.eval.every = config.checkpoint.every = 1500
  return finish(config, words, TINY)
