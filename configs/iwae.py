"""IWAE (Burda et al. 2016, arXiv:1509.00519): the K-sample bound, K = `objective.samples`.

  python launch.py train --config=configs/iwae.py:mnist,samples=1 --workdir=runs/i --data_dir=DIR
  python launch.py evaluate --workdir=runs/i --evals=elbo,nll
  python launch.py reproduce --table=iwae --short --workdir=runs/iwae --data_dir=DIR

Values and costs are in configs/README.md. The net is the paper's with one stochastic layer
(784-200-200-50, tanh). Images are binarised dynamically. Training takes 200 epochs in batches of
100.

The word `paper` sets the protocol of the paper's code (yburda/iwae): batch 20, 3280 epochs, the
rate 1e-3 * 10^(-i/7) for 3^i epochs, i = 0 ... 7; Adam with b1 = 0.99, and eps = 1e-4 on gradients
summed over the batch, which is 5e-6 on means; uniform Glorot kernels; the initial biases of the
pixels are the logits of the data's means; 400 training images of mnist are held out. This takes
days on a CPU. configs/tables/iwae.py has all published values, and how this still differs.

The word `two` sets the paper's two stochastic layers, of 100 and 50 latents. `vae` averages the
bounds of K draws instead of their weights. `conditional` gives the label to all nets.

Words after the colon: a dataset (digits, shapes, mnist, ... any TFDS name), paper, two, vae,
conditional, lpips (see configs/vae.py), smoke, key=value.
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import finish, parse_words
from vaejax.errors import UserError

HELD_OUT = {'mnist': 400}
STEPS_PER_EPOCH = {'mnist': 2980}  # others: 3000


def get_config(arg=''):
  words = parse_words(
    arg, dataset='digits', options=('paper', 'two', 'vae', 'conditional', 'lpips')
  )
  config = base('vae', {'lr': 1e-3, 'beta': 1.0})
  importance = 'vae' not in words.options
  config.objective = {'name': 'iwae' if importance else 'elbo', 'samples': 5, 'kl': 'sampled'}
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
  if 'two' in words.options:
    if 'conditional' in words.options:
      raise UserError('two and conditional exclude each other. Use one of them')
    config.method = 'hierarchy'
    config.model.update({'levels': (100, 50), 'inner_widths': (100, 100)})
    for field in ('prior', 'components', 'latents'):
      del config.model[field]
  if 'conditional' in words.options:
    config.model.update({'conditional': True, 'prior': 'by_class'})
  if 'paper' in words.options:
    set_protocol(config, words.dataset)
  tiny = {'model.levels': (4, 3), 'model.inner_widths': (8,), 'model.widths': (32,)}
  return finish(config, words, tiny if 'two' in words.options else presets.TINY)


def set_protocol(config, dataset: str) -> None:
  """Sets the protocol of yburda/iwae."""
  epoch = STEPS_PER_EPOCH.get(dataset, 3000)
  config.batch_size = 20
  config.steps = 3280 * epoch
  ends = [sum(3**j for j in range(i)) * epoch for i in range(1, 8)]
  factors = [f'{end}={10 ** (-(i + 1) / 7):.6f}' for i, end in enumerate(ends)]
  config.schedule.lr = 'piecewise:' + ','.join(factors)
  config.eval.every = config.checkpoint.every = 20 * epoch
  config.optimizer.update({'b1': 0.99, 'b2': 0.999, 'eps': 1e-4 / config.batch_size})
  config.model.initial = 'glorot'
  if config.model.likelihood == 'bernoulli':
    config.model.bias = 'data'
  config.data.validation = float(HELD_OUT.get(dataset, 0))
