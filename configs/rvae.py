"""Recurrent VAE of videos (VRNN, Chung et al. 2015, arXiv:1506.02216): a latent for each frame.

  python launch.py train --config=configs/rvae.py --workdir=runs/r
  python launch.py sample --workdir=runs/r --n=8 --given=5 --futures=3 --out=futures.gif
  python launch.py sample --workdir=runs/r --n=8 --given=5 --rollout --out=rollout.png
  python launch.py evaluate --workdir=runs/r --evals=elbo,video

Values and costs are in configs/README.md. `none` has the same nets without recurrence, at half the
cost. The decoder is given features of z, as in the paper, or z itself with
model.decoder_input=latents.

A continuation feeds its frames back: their means by default, or with --draw (eval.video.draw=True)
frames drawn from p(x|z), as in the paper. Under the likelihood of grey levels, drawn pixels are
black or white.

The prior of a frame's latent is learned from the frames before it. The likelihood is the
cross-entropy of grey levels, which is about 68 nats a frame for the data with itself.

Words after the colon: a dataset (moving, any TFDS dataset of videos or image sequences, or the path
of a folder of videos, of folders of frames, or of an array), gru, lstm, none, lpips (see
configs/vae.py), smoke, key=value.
data.size is 32, 64, ...; videos are cut to data.frames. Shorter ones are left out, and longer ones
are cut into several with data.stride.
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import choose_one, finish, parse_words
from vaejax.nets.recurrent import CELLS

TINY = presets.TINY | {'model.state': 16, 'data.frames': 6, 'data.size': 16}


def get_config(arg=''):
  words = parse_words(arg, dataset='moving', options=(*CELLS, 'lpips'))
  config = base('rvae', {'lr': 1.5e-3, 'beta': 1.0, 'free_bits': 0.0})
  config.objective = {'kl': 'analytic'}
  if 'lpips' in words.options:
    presets.add_lpips(config)
  # Windows begin every `stride` frames of a longer video, 0: only the first.
  config.data.update({'name': words.dataset, 'size': 32, 'frames': 15, 'stride': 0})
  config.model = {
    **presets.AUTOENCODER,
    'cell': choose_one(words.options, CELLS, 'gru'),
    'state': 256,
    'decoder_input': 'features',  # of z, as in the paper, or the latents z
  }
  config.model.update({'latents': 16, 'likelihood': 'bernoulli'})
  if words.dataset == 'moving':
    config.model.update({'net': 'mlp', 'widths': (512, 256)})
  else:
    config.model.update({'net': 'conv', 'channels': (32, 64, 64), 'kernel': 4, 'widths': (256,)})
  config.eval.update({'batch_size': 50, 'size': 200, 'images': 120})
  config.batch_size = 16
  config.steps = 10_000
  config.schedule.lr = 'cosine'
  config.optimizer.ema = 0.99
  return finish(config, words, TINY)
