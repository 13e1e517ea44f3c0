"""Speed against the PyTorch peer, in one run: alternating epochs, the median of 5.

  pip install -e .[bench]
  python tests/benchmarks/speed.py [--data_dir=DIR] [--json=FILE] [--rounds=5]

mlp: one epoch of MNIST (60,000 images); conv: 6,400 images; batch 128, Adam, data in memory. Every
side is a process of its own that waits while the others run. Without --data_dir the images are
noise of the same shape: as fast, with a loss that means nothing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
IMAGES = {'mlp': 60_000, 'conv': 6_400}
SIDES = {
  'ours': ['ours.py'],
  'bfloat16': ['ours.py', '--dtype=bfloat16'],
  'eager': ['peer.py'],
  'compiled': ['peer.py', '--compile'],
}


def read_images(data_dir: str | None) -> np.ndarray:
  """MNIST's training images, uint8 [60000, 28, 28, 1], or noise of that shape."""
  if data_dir is None:
    return np.random.default_rng(0).integers(0, 256, (60_000, 28, 28, 1), np.uint8)
  from vaejax.data.readers import tfds

  return np.asarray(tfds.table('mnist', 'train', data_dir=data_dir).load()['image'])


def start(words: list[str], net: str, images: str) -> subprocess.Popen:
  """A worker that trains an epoch for every line it is sent."""
  script, *flags = words
  command = [sys.executable, str(HERE / script), net, images, *flags]
  paths = os.pathsep.join(filter(None, [str(HERE.parent.parent), os.environ.get('PYTHONPATH')]))
  environment = {**os.environ, 'PYTHONPATH': paths}
  pipes = {'stdin': subprocess.PIPE, 'stdout': subprocess.PIPE}
  return subprocess.Popen(command, text=True, env=environment, **pipes)


def epoch(worker: subprocess.Popen) -> dict:
  """Seconds and loss of one epoch of a worker."""
  worker.stdin.write('go\n')
  worker.stdin.flush()
  return json.loads(worker.stdout.readline())


def compare(net: str, images: str, rounds: int) -> dict[str, float]:
  """Median seconds of an epoch of every side, and the last losses."""
  workers = {side: start(words, net, images) for side, words in SIDES.items()}
  found = {side: [] for side in SIDES}
  for number in range(rounds + 1):
    for side, worker in workers.items():
      result = epoch(worker)
      if number:  # the first epoch compiles
        found[side].append(result)
  for worker in workers.values():
    worker.stdin.close()
    worker.wait()
  seconds = {side: statistics.median(r['seconds'] for r in rs) for side, rs in found.items()}
  return {
    **{f'{side}_s': s for side, s in seconds.items()},
    'ratio_eager': seconds['eager'] / seconds['ours'],
    'ratio_compiled': seconds['compiled'] / seconds['ours'],
    'ratio_bfloat16': seconds['eager'] / seconds['bfloat16'],
    **{f'{side}_loss': rs[-1]['loss'] for side, rs in found.items()},
  }


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--data_dir')
  parser.add_argument('--json')
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--nets', default='mlp,conv')
  flags = parser.parse_args()
  images, table = read_images(flags.data_dir), {}
  with tempfile.TemporaryDirectory() as folder:
    for net in flags.nets.split(','):
      path = str(Path(folder) / f'{net}.npy')
      np.save(path, images[: IMAGES[net]])
      table[net] = compare(net, path, flags.rounds)
      for name, value in table[net].items():
        print(f'{net:>5} {name:>16} {value:9.3f}', flush=True)
  if flags.json:
    Path(flags.json).write_text(json.dumps(table, indent=2) + '\n')


if __name__ == '__main__':
  main()
