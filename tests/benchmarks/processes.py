"""Steps per second of several processes as one program, of this checkout and of others, in turn.

python tests/benchmarks/processes.py [--roots=.,DIR] [--config=FILE:WORDS] [--steps=3000]
                                     [--processes=2] [--rounds=3]

Each process has one CPU device. The rate is that of the rows, from the second to the last but one,
so that neither compilation nor the test at the end counts; printed are all rounds and the median.
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

ROWS = 20


def rate(root: Path, flags) -> float:
  """Steps per second of one run of the checkout in `root`."""
  with socket.create_server(('', 0)) as server:
    port = server.getsockname()[1]
  environment = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'JAX_NUM_CPU_DEVICES': '1'}
  settings = {'steps': flags.steps, 'eval.every': 0, 'checkpoint.every': flags.steps}
  settings['eval.log_every'] = flags.steps // ROWS
  with tempfile.TemporaryDirectory() as workdir:
    command = [sys.executable, 'launch.py', 'train', f'--config={flags.config}']
    command += [f'--workdir={workdir}/run']
    command += [f'--config.{name}={value}' for name, value in settings.items()]
    if flags.processes > 1:
      command += [f'--coordinator=127.0.0.1:{port}', f'--processes={flags.processes}']
    started = []
    for number in range(flags.processes):
      own = [f'--process={number}'] if flags.processes > 1 else []
      quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
      started.append(subprocess.Popen([*command, *own], cwd=root, env=environment, **quiet))
    if sum(process.wait() != 0 for process in started):
      sys.exit(f'{root}: a process failed: {command}')
    lines = Path(workdir, 'run', 'metrics.jsonl').read_text().splitlines()
  rows = [json.loads(line) for line in lines]
  first, *_, last, _ = [row for row in rows if row['split'] == 'train'][1:]
  return (last['step'] - first['step']) / (last['seconds'] - first['seconds'])


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--roots', default='.')
  parser.add_argument('--config', default='configs/vae.py:digits')
  parser.add_argument('--steps', type=int, default=3000)
  parser.add_argument('--processes', type=int, default=2)
  parser.add_argument('--rounds', type=int, default=3)
  flags = parser.parse_args()
  rates = {Path(root).absolute(): [] for root in flags.roots.split(',')}
  for _ in range(flags.rounds):
    for root, measured in rates.items():
      measured.append(rate(root, flags))
  for root, measured in rates.items():
    each = ', '.join(f'{one:.0f}' for one in measured)
    print(f'{statistics.median(measured):8.1f} steps/s ({each}): {root}', flush=True)


if __name__ == '__main__':
  main()
