"""VAE on ImageNet at 64 or 128 pixels, streamed from its files.

python launch.py train --config=configs/imagenet.py --workdir=runs/i64 --data_dir=DIR
python launch.py train --config=configs/imagenet.py:imagenet2012,128 --workdir=runs/i --data_dir=DIR
python launch.py train --config=configs/imagenet.py:PATH,128 --workdir=runs/p128
python launch.py train --config=configs/imagenet.py:smoke --workdir=runs/smoke
"""

from vaejax.config import presets
from vaejax.config.base import base
from vaejax.config.words import choose_one, finish, parse_words

DATASET = 'imagenet_resized/64x64'
# Feature maps of 4x4 at the end of both.
CHANNELS = {'64': (128, 256, 512, 512), '128': (128, 256, 256, 512, 512)}


def get_config(arg=''):
  words = parse_words(arg, dataset=DATASET, options=tuple(CHANNELS))
  size = choose_one(words.options, CHANNELS, '64')
  config = base('vae', {'lr': 2e-4, 'beta': 1.0, 'capacity': 0.0, 'free_bits': 0.0})
  config.objective = {'name': 'elbo', 'samples': 1, 'kl': 'analytic'}
  config.model = dict(presets.VAE)
  config.update_from_flattened_dict(presets.PHOTOGRAPHS)
  config.model.update({'channels': CHANNELS[size], 'blocks': 2, 'latents': 512})
  config.model.dtype = 'bfloat16'
  config.data.update({'name': words.dataset, 'size': int(size), 'channels': 3, 'fit': 'crop'})
  config.data.augment.flip = True
  config.batch_size, config.steps = 1024, 250_000
  config.optimizer.update({'clip': 100.0, 'ema': 0.9999})
  config.schedule.lr = 'cosine:warmup=5000'
  config.eval.every = config.checkpoint.every = 5000
  smoke = {**presets.TINY, 'model.blocks': 1, 'model.dtype': 'float32', 'schedule.lr': 'constant'}
  smoke |= {'data.size': 16, 'data.fit': 'resize'}
  if words.dataset == DATASET:  # which is not in the package
    smoke['data.name'] = 'digits'
  return finish(config, words, smoke)
