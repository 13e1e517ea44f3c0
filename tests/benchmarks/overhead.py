"""What a run costs beside its steps: the loop, start-up, checkpoints, memory.

  python tests/benchmarks/overhead.py --data_dir=DIR [--json=FILE] [--rounds=5] [--steps=3000]

loop: the whole `train` with logs and checkpoints against the bare chunk, alternating, the median of
several rounds of --steps of the MNIST MLP. start: seconds from the command to the first logged
step, with an empty and a filled compile cache. memory: the peak of a whole run.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
CONFIG = '--config=configs/vae.py:mnist,binarise=none,batch_size=128,likelihood=bernoulli'
LOG, SAVE, FIRST = 100, 500, 5


def launch(workdir: str, data_dir: str, *words: str, cache: str | None = None) -> subprocess.Popen:
  """`launch.py train` in a process of its own."""
  command = [sys.executable, 'launch.py', 'train', CONFIG, f'--workdir={workdir}', *words]
  environment = dict(os.environ)
  if cache:
    environment['JAX_COMPILATION_CACHE_DIR'] = cache
  quiet = {'stdout': subprocess.DEVNULL, 'stderr': subprocess.DEVNULL}
  return subprocess.Popen([*command, f'--data_dir={data_dir}'], cwd=ROOT, env=environment, **quiet)


def first_step(workdir: Path, data_dir: str, cache: str) -> float:
  """Seconds from the command to its first row."""
  began = time.perf_counter()
  process = launch(str(workdir), data_dir, '--config.eval.log_every=1', cache=cache)
  rows = workdir / 'metrics.jsonl'
  while process.poll() is None and not (rows.exists() and rows.stat().st_size):
    time.sleep(0.01)
  seconds = time.perf_counter() - began
  process.kill()
  process.wait()
  return seconds


def loop_seconds(workdir: str, data_dir: str, steps: int) -> tuple[float, list[float]]:
  """Seconds of the whole loop between its row FIRST and its last but two, and of each save."""
  from vaejax.config.load import load_config
  from vaejax.runs.checkpoint import Checkpoints
  from vaejax.training.train import train

  blocked, save = [], Checkpoints.save

  def timed(*args):
    began = time.perf_counter()
    save(*args)
    blocked.append(time.perf_counter() - began)

  settings = {'steps': steps, 'eval.every': 0, 'eval.log_every': LOG, 'checkpoint.every': SAVE}
  fields = [(name, str(value)) for name, value in settings.items()]
  config = load_config(str(ROOT / CONFIG.removeprefix('--config=')), fields)
  Checkpoints.save = timed
  with open(os.devnull, 'w') as quiet:
    train(config, Path(workdir), data_dir, quiet)
  Checkpoints.save = save
  rows = [json.loads(line) for line in (Path(workdir) / 'metrics.jsonl').read_text().splitlines()]
  rows = [row for row in rows if row['split'] == 'train']
  # The first rows wait for tensorboardX to be imported (and torch, where there is one), the last
  # two for the test pass to compile: once a run, and not the loop's doing.
  return rows[-3]['seconds'] - rows[FIRST]['seconds'], blocked


def bare_chunk(data_dir: str, steps: int):
  """A function that runs as many steps in one chunk and gives the seconds."""
  import jax
  import numpy as np

  from vaejax.config.load import load_config
  from vaejax.core import step
  from vaejax.training.setup import set_up

  config = load_config(str(ROOT / CONFIG.removeprefix('--config=')))
  setup = set_up(config, data_dir)
  state = jax.jit(setup.create)()
  chunk = step.make_chunk(step.make_step(setup.method, setup.schedules), setup.source.draw)
  bare = jax.jit(chunk.run, donate_argnums=0)
  buffer, _ = next(setup.source.buffers(0, 1))
  zeros = chunk.zeros(state, buffer)
  for _ in range(2):  # a state that jit has placed is another kind of argument: compile for it too
    state, _ = bare(state, zeros, buffer, np.int32(1))

  def run() -> float:
    nonlocal state
    began = time.perf_counter()
    state, sums = bare(state, zeros, buffer, np.int32(steps - (FIRST + 3) * LOG))
    jax.block_until_ready(sums)
    return time.perf_counter() - began

  return run


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--data_dir', required=True)
  parser.add_argument('--json')
  parser.add_argument('--rounds', type=int, default=5)
  parser.add_argument('--steps', type=int, default=3000, help='900 or more')
  flags = parser.parse_args()
  data_dir = str(Path(flags.data_dir).absolute())
  with tempfile.TemporaryDirectory() as folder:
    space = Path(folder)
    launch(str(space / 'm'), data_dir, f'--config.steps={flags.steps // 6}').wait()
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    cold = [
      first_step(space / f'c{i}', data_dir, str(space / f'cache{i}')) for i in range(flags.rounds)
    ]
    warm = [
      first_step(space / f'w{i}', data_dir, str(space / 'cache0')) for i in range(flags.rounds)
    ]
    bare, pairs = bare_chunk(data_dir, flags.steps), []
    for i in range(flags.rounds):
      pairs.append((bare(), *loop_seconds(str(space / f'l{i}'), data_dir, flags.steps)))
  found = {
    'first_step_cold_s': statistics.median(cold),
    'first_step_warm_s': statistics.median(warm),
    'loop_over_bare': statistics.median(loop / bare for bare, loop, _ in pairs),
    'save_blocks_ms': 1e3 * statistics.median(b for *_, blocked in pairs for b in blocked),
    'save_blocks_most_ms': 1e3 * max(b for *_, blocked in pairs for b in blocked),
    'peak_memory_gib': memory,
  }
  for name, value in found.items():
    print(f'{name:>20} {value:8.3f}')
  if flags.json:
    Path(flags.json).write_text(json.dumps(found, indent=2) + '\n')


if __name__ == '__main__':
  main()
