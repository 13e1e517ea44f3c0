"""Images per second that runs sample: alternating, the median of several rounds.

python tests/benchmarks/sampling.py WORKDIR [WORKDIR ...] [--n=500] [--rounds=9]
"""

import argparse
import statistics
import time
from pathlib import Path

import jax

from vaejax.runs.trained import open_run
from vaejax.types import averaged


def sampler(folder: Path, n: int):
  """key -> n samples of a run's newest checkpoint; compiled."""
  run = open_run(folder, print)
  variables = averaged(run.state)
  sample = jax.jit(lambda key: run.method.sample(variables, key, n))
  jax.block_until_ready(sample(jax.random.key(0)))
  return sample


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('workdirs', nargs='+', type=Path)
  parser.add_argument('--n', type=int, default=500)
  parser.add_argument('--rounds', type=int, default=9)
  flags = parser.parse_args()
  samplers = {folder: sampler(folder, flags.n) for folder in flags.workdirs}
  rates = {folder: [] for folder in samplers}
  for number in range(flags.rounds):
    for folder, sample in samplers.items():
      start = time.perf_counter()
      jax.block_until_ready(sample(jax.random.key(number)))
      rates[folder].append(flags.n / (time.perf_counter() - start))
  for folder, found in rates.items():
    print(f'{folder.name:>12} {statistics.median(found):10.0f} images/s')


if __name__ == '__main__':
  main()
