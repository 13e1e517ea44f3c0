"""Seconds of whole trainings: ours, pythae's trainer and PyTorch, for one run and for eight seeds.

  python launch.py reproduce --table=speed --short [--data_dir=DIR]

Source: no published values; every number is of the machine that the table runs on. PyTorch and
pythae run in separate processes, with this Python or the one that PEER_PYTHON names, for example of
a scratch environment with `pip install torch pythae`. A peer that cannot be imported is skipped
with one line; the next start measures its rows again. Without --data_dir the images are noise,
which is as fast.

The net is 784-512-16 with a Bernoulli likelihood, pythae's default; 60,000 images, batches of 128,
Adam at 1e-3. Seconds are of the whole process: start, imports, compilation with an empty cache,
training, and what a trainer writes. Ours also tests on 128 images, and writes a checkpoint and a
report. The peers train eight seeds one after the other in one process.

A round measures all sides one after the other. A ratio is of two times of one round, so that other
work on the machine slows both.

Cost: --short, 3 rounds of 2 epochs, 11 minutes on two idle CPU cores; the whole table, 3 rounds of
20 epochs, on a GPU, estimated at 15 minutes.
"""

import functools
import os
import subprocess
import sys
import tempfile
import time

from vaejax.config.table import Cell, Claim, Table

BATCH, HIDDEN, LATENTS, PIXELS = 128, 512, 16, 784
PEERS = {'pythae': "pythae's trainer", 'eager': 'PyTorch, eager', 'compiled': 'PyTorch, compiled'}
PRODUCT = 1024  # rows of the square matrices whose product measures the speed of the machine
VALUES = {
  'product': 'GFLOP/s, product',
  'gflops': 'GFLOP/s, ours',
  'images_s': 'images/s, ours',
  'ours': 'seconds, ours',
  **{name: f'seconds, {text}' for name, text in PEERS.items()},
  **{f'{name}_ratio': f'{text} / ours' for name, text in PEERS.items()},
}


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


def run(words: list[str], environment: dict) -> float:
  """Runs a command of the project, and returns its seconds. Raises UserError with its last line if
  it fails."""
  from vaejax.config.load import PROJECT
  from vaejax.errors import UserError

  paths = os.pathsep.join(filter(None, [str(PROJECT), os.environ.get('PYTHONPATH')]))
  environment = {**os.environ, 'PYTHONPATH': paths, **environment}
  began = time.monotonic()
  done = subprocess.run(
    words, capture_output=True, text=True, encoding='utf-8', cwd=PROJECT, env=environment
  )
  if done.returncode:
    last = (done.stderr.strip().splitlines() or [f'status {done.returncode}'])[-1]
    raise UserError(f'{words[1]}: {last}')
  return time.monotonic() - began


def train_ours(path, images: int, epochs: int, members: int) -> float:
  """Seconds of `python launch.py train`, or of a sweep of several seeds."""
  steps = images // BATCH * epochs
  fields = {
    'model.widths': f'({HIDDEN},)', 'model.latents': LATENTS, 'model.likelihood': 'bernoulli',
    'model.net': 'mlp', 'batch_size': BATCH, 'steps': steps, 'hyper.lr': 1e-3,
    'schedule.lr': 'constant', 'eval.every': 0, 'checkpoint.every': steps, 'checkpoint.best': '',
    'eval.elbo.draws': 1,
  }  # fmt: skip
  verb = ['train'] if members == 1 else ['sweep', '--grid', f'seed=0:{members}']
  words = ['--config=configs/vae.py', *(f'--config.{f}={value}' for f, value in fields.items())]
  with tempfile.TemporaryDirectory() as scratch:
    words += [f'--data={path}', f'--workdir={scratch}/run']
    return run([sys.executable, 'launch.py', *verb, *words], {'XDG_CACHE_HOME': scratch})


def train_peer(name: str, path, images: int, epochs: int, members: int) -> float:
  """Seconds of a peer."""
  words = ['tests/benchmarks/peer_train.py', name, str(path), f'--epochs={epochs}']
  with tempfile.TemporaryDirectory() as scratch:  # like ours, it compiles anew
    cache = {'TORCHINDUCTOR_CACHE_DIR': scratch}
    return run([peer_python(), *words, f'--seeds={members}'], cache)


def peer_python() -> str:
  return os.environ.get('PEER_PYTHON', sys.executable)


def peers() -> tuple[list[str], list[str]]:
  """The peers that can be imported, and a line for each of the others, which is also logged."""
  from vaejax.errors import UserError
  from vaejax.reporting.lines import print_line

  names, missing = [], []
  for name, text in PEERS.items():
    try:
      run([peer_python(), '-c', f'import {"torch, pythae" if name == "pythae" else "torch"}'], {})
      names.append(name)
    except UserError as error:
      what = str(error).removeprefix('-c: ')
      missing.append(
        f'{text} is not measured: {what}. Install torch and pythae, or set PEER_PYTHON to a Python '
        'that has them'
      )
      print_line(missing[-1])
  return names, missing


def product() -> float:
  """GFLOP/s of a float32 product of square matrices on all devices of this process's backend."""
  import jax
  import jax.numpy as jnp

  x = jax.random.normal(jax.random.key(0), (PRODUCT, PRODUCT))
  multiply = jax.jit(lambda a: jnp.dot(a, a, precision='highest'))
  multiply(x).block_until_ready()
  count, began = 0, time.monotonic()
  while time.monotonic() - began < 0.5:
    multiply(x).block_until_ready()
    count += 1
  return 2 * PRODUCT**3 * count / (time.monotonic() - began) / 1e9


def measure(images: int, epochs: int, members: int, folder, rounds: int, data_dir):
  """{value: [of each round]}, see VALUES, and a line for each missing peer. GFLOP/s have six
  operations for each weight and image: three products, of multiplications and additions."""
  path, (names, missing) = write_images(folder, data_dir, images), peers()
  weights = PIXELS * HIDDEN + 2 * HIDDEN * LATENTS + LATENTS * HIDDEN + HIDDEN * PIXELS
  values = {}
  for _ in range(rounds):
    row = {'product': product(), 'ours': train_ours(path, images, epochs, members)}
    row['images_s'] = images * epochs * members / row['ours']
    row['gflops'] = 6 * weights * row['images_s'] / 1e9
    for name in names:
      row[name] = train_peer(name, path, images, epochs, members)
      row[f'{name}_ratio'] = row[name] / row['ours']
    for name, value in row.items():
      values.setdefault(name, []).append(value)
  return values, missing


def faster(cell: str, peer: str):
  """Whether a peer takes longer than ours in the mean over rounds."""
  mean = lambda values: sum(values) / len(values)
  return lambda results: mean(results[cell, ''][f'{peer}_ratio']) > 1


def get_table(mode):
  images, epochs, rounds, several = {
    'whole': (60_000, 20, 3, 8),
    'short': (60_000, 2, 3, 8),
    'smoke': (256, 1, 1, 2),
  }[mode]
  cells = tuple(
    Cell(
      f'runs-{members}',
      measure=functools.partial(measure, images, epochs, members),
      seeds=rounds,
    )
    for members in (1, several)
  )
  return Table(
    title=f'Seconds of whole processes: {images:,} images, epochs: {epochs}',
    source='none: all values are of this machine',
    differences=(
      'the seeds of this table are rounds, in which all sides are measured one after the other',
      f'runs-1 is one run; runs-{several} are {several} seeds: of ours a sweep, of a peer one '
      'process that trains them one after the other',
      f'product is the speed of {PRODUCT} x {PRODUCT} float32 products, which bounds the others',
      'GFLOP/s of ours count the products of the net alone, over the whole process',
    ),
    cells=cells,
    values=VALUES,
    claims=(
      Claim('one run is faster than with pythae', faster('runs-1', 'pythae')),
      Claim(
        f'{several} seeds are faster than with PyTorch, compiled',
        faster(f'runs-{several}', 'compiled'),
      ),
    ),
    cost='--short 11 minutes on two idle CPU cores',
  )
