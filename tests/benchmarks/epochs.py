"""Seconds of an epoch, ours beside PyTorch's.

  python tests/benchmarks/epochs.py [--sides=ours,eager] [--nets=mlp,conv] [--batches=128,1024]
                                    [--small]

Every side is a process of its own, as in speed.py; epochs alternate. A side that fails, as one that
torch cannot compile here, is left out.
"""

import importlib.util
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import enlarged
import figures
import numpy as np
import speed

SIDES = speed.SIDES | {'cuda_graphs': ['peer.py', '--compile=reduce-overhead']}
TITLES = {
  'ours': 'ours',
  'bfloat16': 'ours in bfloat16',
  'eager': 'PyTorch eager',
  'compiled': 'PyTorch compiled',
  'cuda_graphs': 'PyTorch compiled, CUDA graphs',
}


def warm(worker) -> bool:
  """Whether a worker trains two epochs: both may compile, what is given to the second lies on the
  device."""
  try:
    return all(speed.epoch(worker) for _ in range(2))
  except (ValueError, OSError):  # it has ended: its traceback is on stderr
    return False


def compare(sides: list[str], pairs: list[tuple[str, int]], path: str, rounds: int) -> list[str]:
  """Reports seconds and loss of every side for pairs of a net and a batch size, and the ratios to
  the first side. Returns the workers that failed."""
  workers = {
    (net, batch, side): speed.start([*SIDES[side], f'--batch={batch}'], net, path)
    for net, batch in pairs
    for side in sides
  }
  with ThreadPoolExecutor(len(workers)) as pool:  # all compile at once
    going = dict(zip(workers, pool.map(warm, workers.values()), strict=True))
  for net, batch in pairs:
    there = [side for side in sides if going[net, batch, side]]
    epochs = {side: [] for side in there}
    for _ in range(rounds):
      for side in there:
        epochs[side].append(speed.epoch(workers[net, batch, side]))
    seconds = {side: [epoch['seconds'] for epoch in each] for side, each in epochs.items()}
    name, what = f'{net}, batch {batch}, epoch', f'{len(np.load(path))} images in memory, Adam'
    for side in there:
      figures.report(f'{name}: {TITLES[side]}', seconds[side], 's', what)
      what_loss = 'the mean' if SIDES[side][0] == 'ours.py' else 'the last batch'
      after = f'training loss, {what_loss} of the last of {rounds + 2} epochs'
      figures.report(f'{name}: {TITLES[side]}, loss', epochs[side][-1]['loss'], 'nats', after)
    for side in there[1:]:
      ratios = [a / b for a, b in zip(seconds[side], seconds[there[0]], strict=True)]
      title = f'{name}: {TITLES[side]} over {TITLES[there[0]]}'
      figures.report(title, ratios, 'times', f'{what}; epochs in turn')
  for worker in workers.values():
    worker.stdin.close()
    worker.wait()
  return [f'{side} ({net}, batch {batch})' for (net, batch, side), ok in going.items() if not ok]


def main():
  parser = figures.parser(__doc__)
  parser.add_argument('--sides', default='ours,eager')
  parser.add_argument('--nets', default='mlp,conv')
  parser.add_argument('--batches', default='128,1024')
  flags = parser.parse_args()
  pairs = [(net, int(b)) for net in flags.nets.split(',') for b in flags.batches.split(',')]
  pairs = pairs[:1] if flags.small else pairs
  sides = flags.sides.split(',')
  for side in [side for side in sides if SIDES[side][0] == 'peer.py']:
    if not importlib.util.find_spec('torch'):
      figures.left_open(f'epoch: {TITLES[side]}', 'no torch')
    elif flags.small and len(SIDES[side]) > 1:
      figures.left_open(f'epoch: {TITLES[side]}', 'compiling takes too long for a small run')
    else:
      continue
    sides.remove(side)
  if sides == ['ours'] and flags.sides != 'ours':
    return
  with tempfile.TemporaryDirectory() as folder:
    path = str(Path(folder) / 'images.npy')
    np.save(path, enlarged.images(2_560 if flags.small else 60_000))
    failed = compare(sides, pairs, path, 3 if flags.small else 5)
  if failed:
    raise RuntimeError(f'no epoch came of {", ".join(failed)}')


if __name__ == '__main__':
  main()
