"""M2 (Kingma et al. 2014, arXiv:1406.5298): a classifier from few labels and all images.

  python launch.py train --config=configs/m2.py:mnist --workdir=runs/m2 --data_dir=DIR
  python launch.py train --config=configs/m2.py:mnist,labels=1000 --workdir=runs/m --data_dir=DIR
  python launch.py sample --workdir=runs/m2 --label=7

Values and costs are in configs/README.md.

The classifier is part of a generative model p(y) p(z) p(x|y, z), in which most labels are unknown.
Each step has `batch_size` images of the training split without their labels, and
`data.labelled_batch` of the `data.labels` labelled ones: the same number of every class, drawn with
`data.seed`, or else with `seed`. A step decodes every image as each of the classes, which takes
time.

The default is ours and differs from the paper. Its number of latents, 5, was chosen on the labels
of the last 10,000 training images, which a user with 100 labels does not have; the test split was
not used. On those labels the error after 1000 steps with 100 labels was 19 % with 20 latents, 13 %
with 5, 18 % with 3, and 31 % for a classifier of the labels alone. Many latents can draw any image
as any class.

The word `paper` sets the paper's protocol: 50 latents, nets of one layer of 500 softplus units,
Adam at 3e-4, and the weights of its equation 9, as in the released code (dpkingma/nips14-ssl):
0.1 for the cross-entropy, and for the bounds of labelled rows their proportion in the data. 10,000
training images are held out for validation. It leaves out the Gaussian prior of the weights, the
3000 epochs, and minibatches that have each labelled row once an epoch. The released code trains M2
on features of M1, and has no script for M2 on pixels.

Words after the colon: a dataset with classes (digits, mnist, ... any TFDS name), paper, smoke,
key=value.
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import finish, parse_words

PAPER = {
  'model.net': 'mlp',
  'model.widths': (500,),
  'model.activation': 'softplus',
  'model.latents': 50,
  'hyper.lr': 3e-4,
  'hyper.classification': 0.1,
  'schedule.lr': 'constant',
}
ROWS = {'digits': (1500, 250)}  # training rows of a dataset, and how many are held out
TINY = presets.TINY | {'data.labels': 20, 'data.labelled_batch': 8}


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=('paper',))
  config = base('m2', {'lr': 1e-3, 'classification': 10.0})
  # Number of training rows: labelled rows have the weight that they have among these. 0: the weight
  # that they have in a batch.
  config.objective = {'rows': 0}
  config.model = dict(presets.AUTOENCODER)
  presets.autoencoder_defaults(config, words.dataset)
  config.data.update({'labels': 100, 'labelled_batch': 25})
  config.model.latents = 5
  config.batch_size = 50
  config.steps = 1500 if words.dataset == 'digits' else 6000
  config.schedule.lr = 'cosine'
  config.eval.every = config.checkpoint.every = 1500
  if 'paper' in words.options:
    config.update_from_flattened_dict(PAPER)
    held_out = ROWS.get(words.dataset, (60_000, 10_000))
    config.objective.rows, config.data.validation = held_out[0] - held_out[1], float(held_out[1])
  return finish(config, words, TINY)
