"""IWAE (Burda et al. 2016, arXiv:1509.00519): the K-sample bound, K = `objective.samples`.

  python launch.py train --config=configs/iwae.py:mnist,samples=1 --workdir=runs/i --data_dir=DIR
  python launch.py evaluate --workdir=runs/i --evals=elbo,nll

Cost on two CPU cores and expected number, seed 0: mnist with K = 1, which is the VAE, 7 min, and 4
more for the nll, 89.4 nats (5000 samples). It is the paper's one-layer net (784-200-200-50 tanh),
binarised dynamically, batch 100, 200 epochs.

The word `paper` sets the paper's own schedule: batch 20, 3280 epochs, the rate 1e-3 * 10^(-i/7) for
3^i epochs, i = 0 ... 7. The paper's VAE reaches 86.76, its IWAE with K = 5 85.54. This takes days
on a CPU and was not run here.

Words after the colon: a dataset (digits, shapes, mnist, ... any TFDS name), paper, lpips
(see configs/vae.py), smoke, key=value.
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import finish, parse_words


def get_config(arg=''):
  words = parse_words(arg, dataset='digits', options=('paper', 'lpips'))
  config = base('vae', {'lr': 1e-3, 'beta': 1.0})
  config.objective = {'name': 'iwae', 'samples': 5, 'kl': 'sampled'}
  if 'lpips' in words.options:
    presets.add_lpips(config)
  config.model = dict(presets.VAE)
  presets.autoencoder_defaults(config, words.dataset)
  config.model.update({'net': 'mlp', 'widths': (200, 200), 'activation': 'tanh', 'latents': 50})
  config.steps = 3000
  if words.dataset != 'digits':
    config.batch_size = 100
    config.steps = 200 * 600
    config.schedule.lr = 'cosine'
    config.eval.every = config.checkpoint.every = 10_000
    config.eval.log_every = 600
  if 'paper' in words.options:
    config.batch_size = 20
    config.steps = 3280 * 3000
    ends = [sum(3**j for j in range(i)) * 3000 for i in range(1, 8)]
    factors = [f'{end}={10 ** (-(i + 1) / 7):.6f}' for i, end in enumerate(ends)]
    config.schedule.lr = 'piecewise:' + ','.join(factors)
    config.eval.every = config.checkpoint.every = 60_000
    config.optimizer.eps = 1e-4
  return finish(config, words, presets.TINY)
