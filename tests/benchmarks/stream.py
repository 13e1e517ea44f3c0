"""Streams of JPEGs: images a second against PyTorch's DataLoader, memory, resuming, waiting.

  pip install -e .[bench]
  python tests/benchmarks/stream.py [--folder=DIR] [--n=50000] [--rounds=3] [--peer=PYTHON]
  python tests/benchmarks/stream.py --small

50,000 JPEGs of 256x256 are made in --folder, as files and as a TFDS dataset (3 GB, once). Batches
are 32 random crops of 224x224, flipped at random, in float32. PyTorch reads the files with as many
workers; --peer is a Python that has torch, '' leaves it out. Every measurement is a process of its
own, and ours and PyTorch's alternate.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import stream_data

HERE = Path(__file__).parent
CROP, BATCH = 224, 32


def start(python: str, script: str, *words) -> subprocess.Popen:
  paths = os.pathsep.join(filter(None, [str(HERE.parent.parent), os.environ.get('PYTHONPATH')]))
  environment = {**os.environ, 'PYTHONPATH': paths, 'JAX_PLATFORMS': 'cpu'}
  command = [python, str(HERE / script), *map(str, words)]
  return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def result(process: subprocess.Popen) -> dict:
  """The line of JSON that a measurement prints."""
  output = process.communicate()[0]
  if process.returncode:
    sys.exit(f'failed: {process.args}')
  return json.loads(output.splitlines()[-1])


def ours(part: str, *words) -> dict:
  return result(start(sys.executable, 'stream_ours.py', part, *words))


def rates(flags, files: Path, dataset: Path) -> dict[str, dict[str, float]]:
  """Medians of images a second and of processor time, of threads and of workers, and PyTorch's."""
  taken = {}
  for _ in range(flags.rounds):
    for workers in (0, 1, 2):
      name = f'{workers} workers' if workers else 'threads'
      figures = ours('rate', dataset, workers, flags.batches, flags.batches // 10)
      taken.setdefault(name, []).append(figures)
      print(f'  {name}: {figures["rate"]:.0f} images/s', flush=True)
      if workers and flags.peer:
        words = files, workers, BATCH, CROP, flags.batches, flags.batches // 10
        figures = result(start(flags.peer, 'stream_peer.py', *words))
        taken.setdefault(f'PyTorch, {name}', []).append(figures)
        print(f'  PyTorch, {name}: {figures["rate"]:.0f} images/s', flush=True)
  table = {}
  for name, runs in taken.items():
    table[name] = {
      key: statistics.median(run[key] for run in runs) for key in ('rate', 'processor_ms', 'first')
    }
    each = ', '.join(f'{run["rate"]:.0f}' for run in runs)
    print(
      f'{name:>20}: {table[name]["rate"]:7.0f} images/s ({each}), '
      f'{table[name]["processor_ms"]:.2f} ms of processor time an image, '
      f'first {flags.batches // 10} batches after {table[name]["first"]:.1f} s',
      flush=True,
    )
  return table


def two_processes(dataset: Path, steps: int) -> dict:
  """Whether the rows of two processes are disjoint in each step of the first epoch, and together
  those of the batches."""
  with socket.create_server(('', 0)) as server:
    address = f'127.0.0.1:{server.getsockname()[1]}'
  parts = [
    start(sys.executable, 'stream_ours.py', 'rows', dataset, 0, steps, address, number)
    for number in range(2)
  ]
  one, other = (result(part)['rows'] for part in parts)
  alone = ours('rows', dataset, 0, steps, '', 0)['rows']
  disjoint = all(not set(a) & set(b) for a, b in zip(one, other, strict=True))
  together = [a + b for a, b in zip(one, other, strict=True)]
  return {'disjoint': disjoint, 'complete': together == alone}


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--folder', default=os.path.join(tempfile.gettempdir(), 'vaejax_stream'))
  parser.add_argument('--n', type=int, default=50_000)
  parser.add_argument('--rounds', type=int, default=3)
  parser.add_argument('--batches', type=int, default=300, help='of each measured rate')
  parser.add_argument('--memory', type=int, default=2000, help='batches of the memory test')
  parser.add_argument('--steps', type=int, default=200, help='that sleep 100 ms')
  parser.add_argument('--peer', default=sys.executable, help="a Python with torch, '': none")
  parser.add_argument('--parts', default='rates,memory,resume,rows,wait')
  parser.add_argument('--json')
  parser.add_argument('--small', action='store_true', help='seconds, to see that it works')
  flags = parser.parse_args()
  if flags.small:
    flags.n, flags.rounds, flags.batches, flags.memory, flags.steps = 400, 1, 20, 30, 12
  folder, parts, table = Path(flags.folder) / str(flags.n), flags.parts.split(','), {}
  stream_data.make_files(folder / 'files', flags.n)
  dataset = stream_data.make_dataset(folder / 'tfds', folder / 'files', flags.n)
  if 'rates' in parts:
    table['rates'] = rates(flags, folder / 'files', dataset)
  for workers in (0, 2):
    name = f'{workers} workers' if workers else 'threads'
    last = min(2 * flags.n // BATCH, 200)
    for part, words in (('memory', flags.memory), ('resume', last), ('wait', flags.steps)):
      if part in parts:
        table[f'{part}, {name}'] = ours(part, dataset, workers, words)
        print(f'{part}, {name}: {table[f"{part}, {name}"]}', flush=True)
  if 'rows' in parts:
    table['rows'] = two_processes(dataset, min(20, flags.n // BATCH))
    print(f'rows of two processes: {table["rows"]}', flush=True)
  if flags.json:
    Path(flags.json).write_text(json.dumps(table, indent=2) + '\n')


if __name__ == '__main__':
  main()
