"""A VAE that is trained without one class, `hyper.left_out`, to detect that class as an anomaly.

  python launch.py sweep --config=configs/anomaly.py:mnist --grid left_out=0:10 \
    --workdir=runs/a --data_dir=DIR
  python launch.py evaluate --workdir=runs/a --member=3 --evals=anomaly
  python launch.py score --workdir=runs/a --member=3 --inputs=FOLDER --out=scores.csv

The members of such a sweep are one compiled program. The test split keeps all classes, and a
validation split leaves the class out as training does.

The word `background` trains on images with mutated pixels, for the likelihood ratio of Ren et al.
(2019, arXiv:1906.02845). To use that run: evaluate --config.eval.anomaly.background=WORKDIR. It may
be a sweep over the same classes.

Words after the colon: a dataset (digits, shapes, mnist, ... any TFDS name), background, smoke,
key=value.
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import finish, parse_words


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=('background',))
  config = base('vae', {'lr': 1e-3, 'beta': 1.0, 'left_out': 0.0})
  config.objective = {'name': 'elbo', 'samples': 1, 'kl': 'analytic'}
  config.model = dict(presets.VAE)
  presets.autoencoder_defaults(config, words.dataset)
  digits = words.dataset == 'digits'
  config.steps = 3000 if digits else presets.autoencoder_steps(words.dataset)
  if 'background' in words.options:
    config.data.augment.mutate = 0.2
  return finish(config, words, presets.TINY)
