"""Speed of whole trainings: ours beside pythae's trainer and PyTorch, one run and eight seeds.

  python launch.py reproduce --table=speed --short [--data_dir=DIR]

Source: no published values; every number is of the machine that the table runs on. PyTorch and
pythae are imported by processes of their own: by this Python, or by that of PEER_PYTHON, for
example of a scratch environment with `pip install torch pythae`. A peer that cannot be imported is
one line, and the other rows are measured. Without --data_dir the images are noise, as fast.

The net is 784-512-16 with a Bernoulli likelihood, pythae's default; 60,000 images, batches of 128,
Adam at 1e-3. Seconds are of the whole process: start, imports, compilation with an empty cache,
training, and what a trainer writes. Ours also tests on 128 images, and writes a checkpoint and a
report. The peers train eight seeds one after the other in one process.

Cost: --short, 2 epochs with 3 repeats, about 15 minutes on two CPU cores; the whole table, 20
epochs with 3 repeats, on a GPU, estimated at 15 minutes.
"""

import functools
import os
import subprocess
import sys
import time

from vaejax.config.table import Cell, Claim, Table

BATCH, HIDDEN, LATENTS, PIXELS = 128, 512, 16, 784
PEERS = {'pythae': "pythae's trainer", 'eager': 'PyTorch, eager', 'compiled': 'PyTorch, compiled'}
PRODUCT = 1024  # rows of the square matrices whose product gives the machine's own speed


def write_images(folder, data_dir, count: int):
  """Writes x_train and x_test to a .npz for all sides, and returns its path."""
  import numpy as np

  path = folder / 'images.npz'
  if data_dir is None:
    images = np.random.default_rng(0).integers(0, 256, (count, 28, 28), np.uint8)
  else:
    from vaejax.data.readers import tfds

    images = np.asarray(tfds.table('mnist', 'train', data_dir=data_dir).load()['image'])
    images = images[:count, ..., 0]
  np.savez(path, x_train=images, x_test=images[:BATCH])
  return path


def run(words: list[str], environment: dict) -> subprocess.CompletedProcess:
  """Runs a command of the project. Raises UserError with its last line if it fails."""
  from vaejax.config.load import PROJECT
  from vaejax.errors import UserError

  paths = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get('PYTHONPATH')]))
  environment = {**os.environ, 'PYTHONPATH': paths, **environment}
  done = subprocess.run(
    words, capture_output=True, text=True, encoding='utf-8', cwd=PROJECT, env=environment
  )
  if done.returncode:
    last = (done.stderr.strip().splitlines() or [f'status {done.returncode}'])[-1]
    raise UserError(f'{words[1]}: {last}')
  return done


def result(seconds: float, images: int, epochs: int, members: int) -> dict[str, float]:
  """The values of one repeat. Six operations for each weight and image: three products, of
  multiplications and additions."""
  weights = PIXELS * HIDDEN + 2 * HIDDEN * LATENTS + LATENTS * HIDDEN + HIDDEN * PIXELS
  rate = images * epochs * members / seconds
  return {'seconds': seconds, 'images_s': rate, 'gflops': 6 * weights * rate / 1e9}


def repeated(measure, repeats: int) -> dict[str, list[float]]:
  """The values of several repeats of measure()."""
  rows = [measure() for _ in range(repeats)]
  return {name: [row[name] for row in rows] for name in rows[0]}


def ours(images, epochs, members, folder, repeats, data_dir):
  """Seconds of `python launch.py train`, or of a sweep of several seeds."""
  import tempfile

  path = write_images(folder, data_dir, images)
  fields = {
    'model.widths': f'({HIDDEN},)', 'model.latents': LATENTS, 'model.likelihood': 'bernoulli',
    'model.net': 'mlp', 'batch_size': BATCH, 'steps': images // BATCH * epochs, 'hyper.lr': 1e-3,
    'schedule.lr': 'constant', 'eval.every': 0,
    'checkpoint.every': images // BATCH * epochs, 'checkpoint.best': '',
    'eval.elbo.draws': 1,
  }  # fmt: skip
  words = [f'--config.{field}={value}' for field, value in fields.items()]
  verb = ['train'] if members == 1 else ['sweep', '--grid', f'seed=0:{members}']

  def measure():
    with tempfile.TemporaryDirectory() as scratch:
      command = [sys.executable, 'launch.py', *verb, '--config=configs/vae.py', *words]
      began = time.monotonic()
      run([*command, f'--data={path}', f'--workdir={scratch}/run'], {'XDG_CACHE_HOME': scratch})
      return result(time.monotonic() - began, images, epochs, members)

  return repeated(measure, repeats)


def peer(name, images, epochs, members, folder, repeats, data_dir):
  """Seconds of a peer, {} with a line on stderr where it cannot be imported."""
  from vaejax.errors import UserError
  from vaejax.reporting.lines import print_line

  python = os.environ.get('PEER_PYTHON', sys.executable)
  modules = 'torch, pythae' if name == 'pythae' else 'torch'
  try:
    run([python, '-c', f'import {modules}'], {})
  except UserError as error:
    what = str(error).removeprefix('-c: ')
    print_line(
      f'{PEERS[name]} is not measured: {what}. Install torch and pythae, or name the Python of an '
      'environment that has them by PEER_PYTHON'
    )
    return {}
  path = write_images(folder, data_dir, images)
  words = ['tests/benchmarks/peer_train.py', name, str(path), f'--epochs={epochs}']

  def measure():
    began = time.monotonic()
    run([python, *words, f'--seeds={members}'], {})
    return result(time.monotonic() - began, images, epochs, members)

  return repeated(measure, repeats)


def product(size, folder, repeats, data_dir):
  """GFLOP/s of a float32 product of square matrices on all devices of this process's backend."""
  import jax
  import jax.numpy as jnp

  x = jax.random.normal(jax.random.key(0), (size, size))
  multiply = jax.jit(lambda a: jnp.dot(a, a, precision='highest'))
  multiply(x).block_until_ready()

  def measure():
    count, began = 0, time.monotonic()
    while time.monotonic() - began < 0.5:
      multiply(x).block_until_ready()
      count += 1
    return {'gflops': 2 * size**3 * count / (time.monotonic() - began) / 1e9}

  return repeated(measure, repeats)


def faster(row: str, than: str):
  """Whether the mean time of one row is less than that of another."""
  mean = lambda values: sum(values) / len(values)
  return lambda results: mean(results[row, '']['seconds']) < mean(results[than, '']['seconds'])


def get_table(mode):
  images, epochs, repeats, several = {
    'whole': (60_000, 20, 3, 8),
    'short': (60_000, 2, 3, 8),
    'smoke': (256, 1, 1, 2),
  }[mode]
  cells = [Cell('product', measure=functools.partial(product, PRODUCT), seeds=repeats)]
  for members in (1, several):
    sizes = images, epochs, members
    cells.append(Cell(f'ours-{members}', measure=functools.partial(ours, *sizes), seeds=repeats))
    for name in PEERS:
      measure = functools.partial(peer, name, *sizes)
      cells.append(Cell(f'{name}-{members}', measure=measure, seeds=repeats))
  return Table(
    title=f'Seconds of {epochs} epochs of {images:,} images, whole processes',
    source='none: all values are of this machine',
    differences=(
      f'ours-1 is one run, and ours-{several} is a sweep of {several} seeds.',
      'pythae, eager and compiled train several seeds one after the other.',
      f'product is the speed of {PRODUCT} x {PRODUCT} float32 products, which bounds the others.',
      'GFLOP/s count the products of the net alone, over the whole process.',
    ),
    cells=tuple(cells),
    values={'seconds': 'seconds', 'images_s': 'images/s', 'gflops': 'GFLOP/s'},
    claims=(
      Claim('one run is faster than with pythae', faster('ours-1', 'pythae-1')),
      Claim(
        f'{several} seeds are faster than with PyTorch, compiled',
        faster(f'ours-{several}', f'compiled-{several}'),
      ),
    ),
    cost='--short about 15 minutes on two CPU cores',
  )
