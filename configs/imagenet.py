"""VAE on ImageNet at 64 or 128 pixels, with a deeper net than photographs have elsewhere.

  python launch.py train --config=configs/imagenet.py --workdir=runs/i64 --data_dir=DIR
  python launch.py train --config=configs/imagenet.py:imagenet2012,128 --workdir=runs/i128
  python launch.py train --config=configs/imagenet.py:PATH,128 --workdir=runs/p128
  python launch.py train --config=configs/imagenet.py:smoke --workdir=runs/smoke

The first reads imagenet_resized/64x64, prepared by TFDS as array_record (`tfds build
imagenet_resized/64x64 --file_format=array_record`). PATH is a folder of pictures, in folders of
classes if there are labels. Pictures are cropped to their central square, scaled, and mirrored at
random. They are streamed unless they fit data.budget_mb: --config.data.budget_mb=16384 keeps all of
ImageNet at 64 pixels (15.7 GB) on each device, so that nothing is read while training. On a host
with many cores, --config.data.workers=N decodes in N processes instead of threads.

Estimated cost on 8 GPUs, not measured: a step of 1024 images at 64 pixels takes 26.6 TFLOP (26.0
GFLOP an image, by XLA's cost analysis of a step), at 128 pixels 83.6 TFLOP (81.6 an image).
If H100s reach 30 % of their 989 TFLOP/s in bfloat16, 8 of them train 91,000 and 29,000 images/s,
and 250,000 steps (200 epochs) take 47 minutes and 2.4 hours. Decoding a JPEG of 256x256 takes
0.65 ms of a core here (tests/benchmarks/RESULTS.md), so streaming as fast takes 59 cores at 64
pixels and 19 at 128, and for the files of imagenet2012, which are three times as large, three times
as many. No loss is known yet.

Words after the colon: a dataset or a folder, 64 or 128, smoke, key=value.
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
